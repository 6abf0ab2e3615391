"""Keys do not belong into URLs: proxies, logs and histories keep those."""

from __future__ import annotations

from urllib.parse import parse_qsl

from santral.errors import BadRequest
from santral.tenants.key import MARK, holds_secret

#: Parameters by which clients of one vendor or another send a key.
_NAMES = frozenset(
    {
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "authorization",
        "key",
        "x-api-key",
        "x-goog-api-key",
    }
)


def refuse_key_in_url(path: str, query: bytes) -> None:
    """Refuse a request that carries a key where it would be written down.

    Raises:
        BadRequest: a parameter is meant for keys, or a key of ours stands anywhere in the URL; what
            was sent is not repeated.
    """
    if MARK in path and any(map(holds_secret, path.split("/"))):
        raise _refusal("in the path", None)
    if not query:
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name.lower() in _NAMES:
            raise _refusal(f"in the parameter '{name.lower()}'", name.lower())
        if holds_secret(value) or holds_secret(name):
            raise _refusal("in a parameter", None)


def _refusal(where: str, param: str | None) -> BadRequest:
    return BadRequest(
        f"The key is in the URL ({where}), where proxies and logs keep it. Send it in the header "
        "'Authorization: Bearer …', x-api-key or x-goog-api-key, and rotate this key.",
        code="key_in_url",
        param=param,
    )

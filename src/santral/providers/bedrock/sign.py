"""Signs requests to AWS: Signature Version 4, over the host that is really asked.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from msgspec import Struct

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig
from santral.errors import ConfigError

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(Struct, frozen=True):
    """What signs: long-lived, or temporary with a session token."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"


def read_credentials(name: str, config: ProviderConfig) -> Credentials | None:
    """Return the credentials of ``[providers.<name>]``; None where it has no access key.

    Raises:
        ConfigError: a key without its secret, or one that no header may carry.
    """
    if config.access_key_id is None or config.secret_access_key is None:
        if (config.access_key_id, config.secret_access_key) != (None, None):
            raise ConfigError(
                f"providers.{name}: access_key_id and secret_access_key belong together."
            )
        return None
    return Credentials(
        _reveal(f"providers.{name}.access_key_id", config.access_key_id),
        _reveal(f"providers.{name}.secret_access_key", config.secret_access_key),
        _reveal(f"providers.{name}.session_token", config.session_token),
    )


def _reveal(place: str, reference: SecretRef | None) -> str:
    secret = reference.reveal() if reference is not None else ""
    if not secret.isascii() or not secret.isprintable():
        raise ConfigError(f"{place}: holds characters no header may carry.")
    return secret


class Signer:
    """Signs for one service in one region. The day's key is kept: deriving it is most of the work."""

    def __init__(
        self,
        credentials: Credentials,
        region: str,
        service: str,
        wall_clock: Callable[[], float],
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._wall_clock = wall_clock
        self._day = ""
        self._key = b""

    def sign(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers to add to a POST of ``body``; ``headers`` are those to sign beside."""
        moment = datetime.fromtimestamp(self._wall_clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        parts = urlsplit(url)
        added = {"x-amz-date": moment}
        if self._credentials.session_token:
            added["x-amz-security-token"] = self._credentials.session_token
        signed = {"host": _host(parts.scheme, parts.netloc), **headers, **added}
        names = ";".join(sorted(signed))
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        request = "\n".join(
            (
                "POST",
                quote(parts.path or "/", safe="/-_.~"),  # encoded already, and once more for AWS
                "",
                *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
                "",
                names,
                hashlib.sha256(body).hexdigest(),
            )
        )
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}".encode()
        signature = hmac.new(self._key_of(moment[:8]), text, hashlib.sha256).hexdigest()
        credential = f"Credential={self._credentials.access_key_id}/{scope}"
        added["authorization"] = (
            f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
        )
        return added

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._credentials.secret_access_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._day, self._key = day, key
        return self._key


def _host(scheme: str, netloc: str) -> str:
    """Return the Host header as clients send it: without the scheme's own port."""
    default = {"https": ":443", "http": ":80"}.get(scheme, "")
    return netloc.removesuffix(default) if default else netloc

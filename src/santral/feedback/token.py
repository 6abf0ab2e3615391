"""Client tokens: a browser may score one answer for a while, without a key of ours.

A token says what it is good for and carries a signature over that. It names the key that asked for
it, so it ends with that key. Every worker and machine that has the signing key can read it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from msgspec import Struct

from santral.config.schema import Config
from santral.errors import NotAllowed, Unauthenticated
from santral.secrets.pseudonym import KEY_BYTES, key_file, keys_folder

#: What a token begins with: it is known from a key at once, and another kind gets another number.
MARK = "sft1."
_FILE = "feedback.key"
#: Longest token that is looked at. Chosen: several times what one of ours has.
_MOST_CHARS = 2048
_ASK_AGAIN = "Have the application ask for a new one: POST /v1/feedback/tokens."


class Grant(Struct, frozen=True, array_like=True):
    """What a token is good for."""

    tenant_id: str
    key_id: str  # the key that asked for it
    target: str  # a trace, or request: or response: and an id
    expires_at: int  # seconds since the Unix epoch
    names: list[str] = []  # of scores; empty: all
    user: str = ""  # in whose name


class TokenKey:
    """Signs grants and reads tokens; the key is read, or made, when first needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._key = b""

    def sign(self, grant: Grant) -> str:
        """Return a token.

        Raises:
            StoreError: the key can be neither read nor made.
        """
        body = urlsafe_b64encode(_encode(grant)).decode().rstrip("=")
        return f"{MARK}{body}.{self._signature(body)}"

    def read(self, token: str, now: float) -> Grant:
        """Return what a token is good for, at ``now`` in seconds since the Unix epoch.

        Raises:
            Unauthenticated: it is not one of ours, was changed, or is over its time.
            StoreError: the key can be neither read nor made.
        """
        body, _, signature = token.removeprefix(MARK).partition(".")
        if len(token) > _MOST_CHARS or not hmac.compare_digest(
            self._signature(body).encode(), signature.encode("utf-8", "replace")
        ):
            raise Unauthenticated(
                f"This feedback token is not valid: it was changed, cut, or made elsewhere. {_ASK_AGAIN}",
                code="feedback_token_invalid",
            )
        grant = _decode(
            urlsafe_b64decode(body + "=" * (-len(body) % 4))
        )  # we signed it: it is whole
        if now >= grant.expires_at:
            raise Unauthenticated(
                f"This feedback token is over its time. {_ASK_AGAIN}", code="feedback_token_expired"
            )
        return grant

    def _signature(self, body: str) -> str:
        if not self._key:
            self._key = _key(self._config)
        digest = hmac.digest(self._key, body.encode("utf-8", "replace"), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")


def require_grant(grant: Grant, target: str, name: str) -> None:
    """Check that a token is good for a score.

    Raises:
        NotAllowed: it is for another answer, or for other scores.
    """
    if target != grant.target:
        raise NotAllowed(
            "This feedback token is for another answer. Use the one that came with this answer.",
            code="feedback_token_foreign",
        )
    if grant.names and name not in grant.names:
        raise NotAllowed(
            f"This feedback token is good for {', '.join(grant.names)}, not for '{name}'.",
            code="feedback_token_foreign",
            param="name",
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Grant).decode


def _key(config: Config) -> bytes:
    if config.feedback.token_key is not None:
        return hashlib.sha256(config.feedback.token_key.reveal().encode()).digest()
    return key_file(keys_folder(config.data.folder) / _FILE, secrets.token_bytes(KEY_BYTES))

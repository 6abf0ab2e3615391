"""Access tokens of a Google service account: a signed claim, traded for a token, kept and renewed.

Sources: https://developers.google.com/identity/protocols/oauth2/service-account#httprest, RFC 7523.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from santral.config.upstreams import TimeoutsConfig
from santral.errors import (
    ConfigError,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
)
from santral.providers.openai.error import scrubbed
from santral.providers.upstream import UpstreamClient

log = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

#: A claim may live for an hour at most. Specified: the first source above.
CLAIM_S = 3600

#: How long before its end a token is renewed, and before which it is used no more. Chosen: Google's
#: tokens live an hour, so a renewal has nine minutes to succeed; a minute covers skewed clocks.
RENEW_S = 600.0
SPARE_S = 60.0

#: The token endpoint answers in a tenth of a second or is broken. Chosen.
_TIMEOUTS = TimeoutsConfig(connect_s=5.0, total_s=10.0)

_encode = msgspec.json.Encoder().encode


class ServiceAccount(Struct, frozen=True):
    """What a service account's key file holds, as far as it is needed."""

    client_email: str
    private_key: str
    token_uri: str
    private_key_id: str = ""
    project_id: str = ""
    type: str = ""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"


class _Token(Struct):
    access_token: str = ""
    expires_in: float = 0.0


class _Refused(Struct):
    error: str = ""
    error_description: str = ""


def read_service_account(place: str, text: str) -> ServiceAccount:
    """Read a key file's JSON; ``place`` names the setting it came from.

    Raises:
        ConfigError: not the key file of a service account; says what to do, never what is in it.
    """
    try:
        account = msgspec.json.decode(text, type=ServiceAccount)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _unusable(place) from None
    if account.type != "service_account":
        raise _unusable(place)
    if urlsplit(account.token_uri).scheme not in ("http", "https"):
        raise ConfigError(f"{place}: its token_uri is not a URL.")
    return account


def _unusable(place: str) -> ConfigError:
    return ConfigError(
        f"{place}: this is not the JSON key of a service account. Make one in the Google Cloud "
        "console (IAM, Service accounts, Keys) and give its path as file:PATH."
    )


class GoogleToken:
    """The access token of one service account.

    ``get`` waits for Google only where no usable token is there; ``renew`` is for the time after an
    answer, when nobody waits for the token.
    """

    def __init__(
        self,
        account: ServiceAccount,
        client: UpstreamClient,
        wall_clock: Callable[[], float],
        place: str,
    ) -> None:
        """Raises ConfigError: the package that signs is missing, or the key is not one."""
        self._account = account
        self._client = client
        self._wall_clock = wall_clock
        self._key = _private_key(account, place)
        self._token = ""
        self._expires = 0.0
        self._lock = asyncio.Lock()  # one request at a time fetches a token

    @property
    def token(self) -> str:
        """The last token, to keep it out of messages."""
        return self._token

    async def get(self) -> str:
        """Return a token that lives for a minute at least.

        Raises:
            ProviderRefusedKey: Google does not accept the account.
            ProviderError: the token endpoint could not be asked.
        """
        if self._left_s() <= SPARE_S:
            async with self._lock:
                if self._left_s() <= SPARE_S:
                    await self._fetch()
        return self._token

    async def renew(self) -> None:
        """Fetch a new token where the old one ends soon; a failure is for the next ``get`` to raise."""
        if self._left_s() > RENEW_S or self._lock.locked():
            return
        async with self._lock:
            try:
                await self._fetch()
            except ProviderError as error:
                log.warning("google_token_not_renewed", extra={"reason": error.message})

    def drop(self) -> None:
        """Forget the token: the API refused it."""
        self._expires = 0.0

    def _left_s(self) -> float:
        return self._expires - self._wall_clock()

    async def _fetch(self) -> None:
        now = self._wall_clock()
        # RSA takes about a millisecond: beside the event loop.
        claim = await asyncio.to_thread(signed_claim, self._account, self._key, int(now))
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        response = await self._client.post(
            self._account.token_uri,
            {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            urlencode({"grant_type": grant, "assertion": claim}).encode(),
            _TIMEOUTS,
        )
        try:
            body = await response.read()
            if response.status != 200:
                raise _refused(response.status, body, claim)
        finally:
            await response.close()
        token = _read_token(body)
        self._token, self._expires = token.access_token, now + token.expires_in


def signed_claim(account: ServiceAccount, sign: Callable[[bytes], bytes], now: int) -> str:
    """Return the JWT by which the account asks for a token, valid from ``now`` (Unix seconds)."""
    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + CLAIM_S,
    }
    message = f"{_base64(_encode(header))}.{_base64(_encode(claims))}"
    return f"{message}.{_base64(sign(message.encode()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _private_key(account: ServiceAccount, place: str) -> Callable[[bytes], bytes]:
    """Return what signs with the account's key (RS256)."""
    try:
        serialization: Any = importlib.import_module("cryptography.hazmat.primitives.serialization")
        hashes: Any = importlib.import_module("cryptography.hazmat.primitives.hashes")
        padding: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.padding")
    except ImportError:
        raise ConfigError(
            f"{place}: signing in with a service account needs the cryptography package. "
            "Install it with: pip install 'santral[vertex]'"
        ) from None
    try:
        key = serialization.load_pem_private_key(account.private_key.encode(), password=None)
        key.sign(b"", padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, TypeError, AttributeError):
        raise ConfigError(f"{place}: its private_key is not an RSA key in PEM form.") from None
    return lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def _refused(status: int, body: bytes, claim: str) -> ProviderError:
    try:
        said = msgspec.json.decode(body, type=_Refused)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = _Refused()
    reason = scrubbed(said.error_description or said.error, claim) or f"status {status}"
    kind = ProviderRefusedKey if 400 <= status < 500 and status != 429 else ProviderFailed
    return kind(f"Google gave the service account no token: {reason}", upstream_status=status)


def _read_token(body: bytes) -> _Token:
    try:
        token = msgspec.json.decode(body, type=_Token)
    except (msgspec.DecodeError, UnicodeDecodeError):
        token = _Token()
    if not token.access_token.isprintable() or not token.access_token or token.expires_in <= 0:
        raise ProviderGarbled("Google's token endpoint answered with something else than a token.")
    return token

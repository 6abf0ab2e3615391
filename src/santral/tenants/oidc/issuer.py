"""The OpenID provider as we see it: its endpoints and keys, kept and renewed; codes for tokens.

Sources: OpenID Connect Discovery 1.0; OpenID Connect Core 1.0, section 3.1.3 (token endpoint), 5.3
(userinfo) and 10.1.1 (rotation of keys); RFC 6749, section 2.3.1 (client authentication).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from msgspec import Struct

from santral.config.sso import SsoConfig
from santral.errors import ConfigError, SantralError, SignInUnavailable, Unauthenticated
from santral.tenants.oidc.fetch import Reply, fetch
from santral.tenants.oidc.kept import Kept


class Endpoints(Struct, frozen=True, kw_only=True):
    """Where the provider does what; from its discovery document."""

    authorization: str
    token: str
    jwks: str
    userinfo: str
    is_iss_promised: bool  # its answers to the browser name the issuer (RFC 9207)
    takes_basic: bool  # the client's secret in the Authorization header


class Tokens(Struct, frozen=True):
    """What a code was traded for."""

    id_token: str
    access_token: str

    def __repr__(self) -> str:
        return "Tokens(…)"


class Issuer:
    """One OpenID provider. Nothing is asked before somebody signs in; ``clock`` is monotonic."""

    def __init__(self, settings: SsoConfig, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._endpoints = Kept[Endpoints](self._discover, clock)
        self._keys = Kept[tuple[Key, ...]](self._read_keys, clock)

    async def endpoints(self) -> Endpoints:
        """Return where the provider does what.

        Raises:
            SignInUnavailable: it does not answer, or as another than it should be.
        """
        return await self._endpoints.get()

    async def keys(self, key_id: str | None) -> tuple[Key, ...]:
        """Return the public keys that a token with ``key_id`` in its head may be signed with.

        A key id that is not known makes us look for new keys: providers change theirs at any time.
        """
        found = _named(await self._keys.get(), key_id)
        return found or _named(await self._keys.renewed(), key_id)

    async def redeem(self, code: str, verifier: str, redirect_url: str) -> Tokens:
        """Trade the code that the browser brought for tokens.

        Raises:
            Unauthenticated: the provider refuses; the message says what to change.
            SignInUnavailable: it does not answer.
        """
        endpoints = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": verifier,
        }
        headers = self._prove(form, endpoints.takes_basic)
        reply = await fetch(endpoints.token, self._settings.timeout_s, form=form, headers=headers)
        if reply.status != 200:
            raise _refused(reply, redirect_url)
        tokens = Tokens(_text(reply.body, "id_token"), _text(reply.body, "access_token"))
        if not tokens.id_token:
            raise SignInUnavailable(
                "The OpenID provider gave no ID token. Put openid into sso.scopes, and allow this "
                "client to use OpenID Connect at the provider."
            )
        return tokens

    async def userinfo(self, access_token: str) -> Mapping[str, Any]:
        """Return what the provider says of the person; empty where it has no such endpoint."""
        endpoints = await self.endpoints()
        if not endpoints.userinfo or not access_token:
            return {}
        headers = {"authorization": f"Bearer {access_token}"}
        reply = await fetch(endpoints.userinfo, self._settings.timeout_s, headers=headers)
        return reply.body if reply.status == 200 else {}

    def _prove(self, form: dict[str, str], takes_basic: bool) -> dict[str, str]:
        """Return the headers that show who we are; what belongs into the form goes there."""
        secret = self._settings.client_secret
        if secret is None or not takes_basic:
            form["client_id"] = self._settings.client_id
            if secret is not None:
                form["client_secret"] = secret.reveal()
            return {}
        pair = f"{quote(self._settings.client_id, safe='')}:{quote(secret.reveal(), safe='')}"
        return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    async def _discover(self) -> Endpoints:
        issuer = self._settings.issuer
        url = issuer.rstrip("/") + "/.well-known/openid-configuration"
        reply = await fetch(url, self._settings.timeout_s)
        if reply.status != 200:
            raise SignInUnavailable(
                f"The OpenID provider answered {url} with status {reply.status}. Check sso.issuer."
            )
        if (named := _text(reply.body, "issuer")) != issuer:
            raise SignInUnavailable(
                f"The document at {url} is of the issuer '{named[:200]}', not of '{issuer}'. Set "
                "sso.issuer to the former, letter for letter, if it is the right one."
            )
        return self._read_endpoints(reply.body)

    def _read_endpoints(self, found: Mapping[str, Any]) -> Endpoints:
        methods = found.get("token_endpoint_auth_methods_supported")
        return Endpoints(
            authorization=self._address(found, "authorization_endpoint"),
            token=self._address(found, "token_endpoint"),
            jwks=self._address(found, "jwks_uri"),
            userinfo=self._address(found, "userinfo_endpoint")
            if "userinfo_endpoint" in found
            else "",
            is_iss_promised=found.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )

    def _address(self, found: Mapping[str, Any], name: str) -> str:
        """Return an address of the document; secrets are not sent over http where https was asked for."""
        address = _text(found, name)
        scheme = urlsplit(address).scheme
        if scheme != "https" and scheme != urlsplit(self._settings.issuer).scheme:
            raise SignInUnavailable(
                f"The discovery document of {self._settings.issuer} has no usable {name}: "
                f"'{address[:200]}'. It must be an https address."
            )
        return address

    async def _read_keys(self) -> tuple[Key, ...]:
        url = (await self.endpoints()).jwks
        reply = await fetch(url, self._settings.timeout_s)
        given = reply.body.get("keys")
        if reply.status != 200 or not isinstance(given, list):
            raise SignInUnavailable(
                f"The OpenID provider's keys at {url} cannot be read (status {reply.status})."
            )
        return tuple(key for data in cast("list[Any]", given) for key in _public_key(data))


def _named(keys: tuple[Key, ...], key_id: str | None) -> tuple[Key, ...]:
    """Return the keys of that id; a token that names none may be signed with any."""
    return keys if key_id is None else tuple(key for key in keys if key.kid == key_id)


def _public_key(data: Any) -> Iterator[Key]:
    """Yield the key that ``data`` describes, unless it is a secret, for encryption, or unknown to us."""
    if not isinstance(data, dict):
        return
    described = cast("dict[str, Any]", data)
    if described.get("kty") == "oct" or described.get("use", "sig") != "sig":
        return
    try:
        yield JWKRegistry.import_key(described)
    except (JoseError, ValueError, TypeError, KeyError):
        return  # a kind of key that came up later: tokens signed with it are refused by name


def _refused(reply: Reply, redirect_url: str) -> SantralError:
    """Return what the provider's refusal of a code means here; RFC 6749, section 5.2."""
    error = _text(reply.body, "error")
    said = f"{error} {_text(reply.body, 'error_description')}".strip()[:300]
    if error in ("invalid_client", "unauthorized_client") or reply.status == 401:
        return ConfigError(
            f"The OpenID provider does not accept Santral as its client: {said}. Check sso.client_id "
            "and sso.client_secret against what the provider shows."
        )
    if error == "invalid_grant":
        return Unauthenticated(
            f"The OpenID provider refuses the code: {said}. It may be used or too old: sign in again. "
            f"If that happens each time, register exactly {redirect_url} as redirect URI there.",
            code="sign_in_refused",
        )
    if reply.status >= 500:
        return SignInUnavailable(
            f"The OpenID provider failed (status {reply.status}). Try again in a moment."
        )
    return Unauthenticated(
        f"The OpenID provider refuses the sign-in (status {reply.status}): {said}. See its own log.",
        code="sign_in_refused",
    )


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name, "")
    return value if isinstance(value, str) else ""

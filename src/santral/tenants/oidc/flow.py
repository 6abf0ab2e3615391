"""A sign-in from the console to the OpenID provider and back: authorisation code flow with PKCE.

Sources: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (issuer in the answer);
RFC 9700 (best practices): state against forged answers, nonce against replayed tokens.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from santral.config.sso import SsoConfig
from santral.errors import Unauthenticated
from santral.tenants.key import RandomBytes
from santral.tenants.oidc.identity import Identity, bare_identity, identify, lacks
from santral.tenants.oidc.issuer import Issuer, Tokens
from santral.tenants.oidc.token import Expected, verify

#: Finished sign-ins remembered, so that none is finished twice. Chosen: more than ten minutes hold.
_MOST_FINISHED = 10_000


class Begun(Struct, frozen=True):
    """A sign-in under way: kept by the browser that began it, in a signed cookie."""

    state: str
    nonce: str
    verifier: str
    redirect_url: str
    wanted: str  # the page to show in the end
    ends_at: float


class Departure(Struct, frozen=True):
    """Where to send the browser, and the cookie that it brings back."""

    url: str
    cookie: str


class Arrival(Struct, frozen=True):
    """Who came back, and which page they wanted."""

    identity: Identity
    wanted: str


class SignIn:
    """The way through the provider. ``clock`` is seconds since 1970."""

    #: How long a person may take at the provider, second factor included, in seconds. Chosen.
    patience_s = 600.0

    def __init__(
        self,
        settings: SsoConfig,
        issuer: Issuer,
        rng: RandomBytes,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._issuer = issuer
        self._rng = rng
        self._clock = clock
        self._secret = rng(32)
        self._finished: OrderedDict[str, None] = OrderedDict()

    async def begin(self, wanted: str, redirect_url: str) -> Departure:
        """Begin a sign-in that ends on the page ``wanted``.

        Raises:
            SignInUnavailable: the provider does not answer.
        """
        endpoints = await self._issuer.endpoints()
        begun = Begun(
            state=self._random(),
            nonce=self._random(),
            verifier=self._random(),
            redirect_url=redirect_url,
            wanted=wanted,
            ends_at=self._clock() + self.patience_s,
        )
        scopes = dict.fromkeys(["openid", *self._settings.scopes])
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_url,
            "scope": " ".join(scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": _encoded(hashlib.sha256(begun.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in endpoints.authorization else "?"
        return Departure(f"{endpoints.authorization}{joint}{urlencode(asked)}", self._seal(begun))

    async def finish(self, answer: Mapping[str, str], cookie: str) -> Arrival:
        """Return who comes back with ``answer``, the query of the address the provider sent them to.

        Raises:
            Unauthenticated: not begun in this browser, too late, finished before, or refused there.
            NotAllowed: the person may not sign in here.
            SignInUnavailable: the provider does not answer.
        """
        begun = self._open(cookie)
        if begun is None or not hmac.compare_digest(
            begun.state.encode(), answer.get("state", "").encode()
        ):
            raise _refusal(
                "This sign-in was not begun in this browser, or took longer than "
                f"{self.patience_s / 60:.0f} minutes, or the browser keeps no cookies. Begin again on the "
                "sign-in page."
            )
        self._finish_once(begun.state)
        await self._check_answer(answer)
        tokens = await self._issuer.redeem(answer["code"], begun.verifier, begun.redirect_url)
        claims = await self._claims(tokens, begun.nonce)
        return Arrival(identify(claims, self._settings), begun.wanted)

    async def bearer(self, token: str) -> Identity:
        """Return whose ``token`` this is, one of the provider's, sent to the admin API: no more than
        the name, for access tokens seldom say more.

        Raises:
            Unauthenticated: it is not good, or such tokens are not taken here.
            SignInUnavailable: the provider's keys are not known and cannot be read.
        """
        audiences = tuple(self._settings.api_audiences)
        if not audiences:
            raise _refusal(
                "The admin API takes no tokens of the OpenID provider. Send an admin key, or name the "
                "audience of such tokens in sso.api_audiences."
            )
        claims = await verify(token, self._issuer.keys, self._expected(audiences))
        return bare_identity(claims, self._settings)

    async def _claims(self, tokens: Tokens, nonce: str) -> Mapping[str, Any]:
        """Return what the ID token says, with what the userinfo adds to it where something is missing."""
        mine = self._settings.client_id
        expected = self._expected((mine,), nonce, mine)
        claims = await verify(tokens.id_token, self._issuer.keys, expected)
        if not lacks(claims, self._settings):
            return claims
        more = await self._issuer.userinfo(tokens.access_token)
        # Specified: Core, section 5.3.2. An answer about somebody else must not be used.
        return {**more, **claims} if more.get("sub") == claims["sub"] else claims

    async def _check_answer(self, answer: Mapping[str, str]) -> None:
        if answer.get("error"):
            raise _refusal(_refused(answer["error"], answer.get("error_description", "")))
        named = answer.get("iss")
        is_promised = (await self._issuer.endpoints()).is_iss_promised
        if (named or is_promised) and named != self._settings.issuer:
            raise _refusal("Another provider than ours answers this sign-in. Begin again.")
        if not answer.get("code"):
            raise _refusal("The provider sent no code. Begin again on the sign-in page.")

    def _finish_once(self, state: str) -> None:
        if state in self._finished:
            raise _refusal("This sign-in is finished already. Begin again on the sign-in page.")
        self._finished[state] = None
        while len(self._finished) > _MOST_FINISHED:
            self._finished.popitem(last=False)

    def _expected(
        self, audiences: tuple[str, ...], nonce: str | None = None, client_id: str = ""
    ) -> Expected:
        return Expected(
            issuer=self._settings.issuer,
            audiences=audiences,
            now=self._clock(),
            leeway_s=self._settings.leeway_s,
            nonce=nonce,
            client_id=client_id,
        )

    def _random(self) -> str:
        return _encoded(self._rng(32))

    def _seal(self, begun: Begun) -> str:
        body = _encoded(msgspec.json.encode(begun))
        return f"{body}.{self._sign(body)}"

    def _open(self, cookie: str) -> Begun | None:
        """Return the sign-in of a cookie of ours, unless it took too long."""
        body, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        begun = msgspec.json.decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Begun)
        return begun if self._clock() < begun.ends_at else None

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), hashlib.sha256).hexdigest()


def _refused(error: str, description: str) -> str:
    said = f"{error} {description}".strip()[:300]
    remedy = _REMEDIES.get(error, "Ask who runs the provider; its log says more.")
    return f"The OpenID provider did not let the sign-in pass: {said}. {remedy}"


#: Specified: RFC 6749, section 4.1.2.1, and Core, section 3.1.2.6.
_REMEDIES = {
    "access_denied": "Somebody declined, or the account may not use Santral there: ask who runs the "
    "provider to assign it.",
    "invalid_scope": "Ask for scopes that the provider knows: sso.scopes.",
    "unauthorized_client": "Allow this client the authorisation code flow at the provider.",
    "invalid_request": "Check sso.client_id and the redirect URI that is registered there.",
    "temporarily_unavailable": "Try again in a moment.",
    "server_error": "Try again in a moment.",
}


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _refusal(message: str) -> Unauthenticated:
    return Unauthenticated(message, code="sign_in_refused")

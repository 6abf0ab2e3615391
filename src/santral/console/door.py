"""The way in and out: with an administrator's key, or through the OpenID provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from santral.audit.refusals import Refusals
from santral.config.sso import SsoConfig
from santral.console.form import read_form, require_same_site, require_token
from santral.console.frame import COOKIE, Frame
from santral.console.render import HEADERS
from santral.errors import RequestError, SantralError
from santral.tenants.oidc.admit import admit
from santral.tenants.permission import Principal
from santral.tenants.sessions.session import LIFETIME
from santral.tenants.sessions.store import Holder
from santral.tenants.tenant import KeyId

if TYPE_CHECKING:  # it needs the extra 'sso'
    from santral.tenants.oidc.flow import SignIn

#: Holds a sign-in that is under way at the provider.
JOURNEY_COOKIE = "santral_sign_in"
RETURN = "/sign-in/return"

Identify = Callable[[str, str], Awaitable[Principal]]


class Door:
    """Where sessions begin and end. ``identify`` checks an administrator's key from an address."""

    def __init__(self, frame: Frame, identify: Identify, sign_in: SignIn | None) -> None:
        self._frame = frame
        self._identify = identify
        self._sign_in = sign_in
        self._refusals = Refusals(frame.engine, frame.clock)
        self._sso: SsoConfig | None = frame.config.sso
        add = frame.router.add_api_route
        add("/sign-in", self.show)
        add("/sign-in", self.take_key, methods=["POST"])
        add("/sign-in/provider", self.depart)
        add(RETURN, self.arrive)
        add("/sign-out", self.leave, methods=["POST"])

    async def show(self, request: Request) -> Response:
        """The sign-in page."""
        return self._page(request, 200, "", local(request.query_params.get("next", "/")))

    async def take_key(self, request: Request) -> Response:
        """Begin a session with the key of the form."""
        wanted = "/"
        try:
            require_same_site(request)
            form = await read_form(request)
            wanted = local(form("next"))
            principal = await self._identify(form("key"), self._frame.origin(request))
            key_id = KeyId(principal.name.removeprefix("key:"))
            return await self._begin(request, Holder(None, key_id), wanted)
        except RequestError as error:
            await self._refusals.note(self._frame.origin(request), error)
            return self._page(request, error.status, error.message, wanted)
        except SantralError as error:
            return self._frame.error(request, error)

    async def depart(self, request: Request) -> Response:
        """Send the browser to the OpenID provider."""
        wanted = local(request.query_params.get("next", "/"))
        if self._sign_in is None:
            return RedirectResponse("/sign-in", 303, HEADERS)
        try:
            gone = await self._sign_in.begin(wanted, self._return_address(request))
        except SantralError as error:
            return self._page(request, error.status, error.message, wanted)
        response = RedirectResponse(gone.url, 303, HEADERS)
        self._set(
            request, response, JOURNEY_COOKIE, gone.cookie, int(self._sign_in.patience_s), RETURN
        )
        return response

    async def arrive(self, request: Request) -> Response:
        """Take up whom the OpenID provider sends back."""
        if self._sign_in is None or self._sso is None:
            return RedirectResponse("/sign-in", 303, HEADERS)
        try:
            cookie = request.cookies.get(JOURNEY_COOKIE, "")
            arrival = await self._sign_in.finish(dict(request.query_params), cookie)
            origin, frame = self._frame.origin(request), self._frame
            now = datetime.fromtimestamp(frame.clock(), UTC)
            user_id = await admit(frame.engine, frame.rng, arrival.identity, self._sso, now, origin)
            response = await self._begin(request, Holder(user_id, None), local(arrival.wanted))
        except SantralError as error:
            await self._refusals.note(self._frame.origin(request), error)
            response = self._page(request, error.status, error.message, "/")
        response.delete_cookie(JOURNEY_COOKIE, RETURN, httponly=True, samesite="lax")
        return response

    async def leave(self, request: Request) -> Response:
        """End the session."""
        try:
            require_same_site(request)
            visitor = await self._frame.who(request)
            if visitor is not None:
                require_token(await read_form(request), visitor.form_token)
            await self._frame.sessions.end(request.cookies.get(COOKIE), self._frame.origin(request))
        except SantralError as error:
            return self._frame.error(request, error)
        response = RedirectResponse("/sign-in", 303, HEADERS)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    async def _begin(self, request: Request, holder: Holder, wanted: str) -> Response:
        cookie = await self._frame.sessions.begin(holder, self._frame.origin(request))
        response = RedirectResponse(wanted, 303, HEADERS)
        self._set(request, response, COOKIE, cookie, int(LIFETIME.total_seconds()), "/")
        return response

    def _set(
        self, request: Request, response: Response, name: str, value: str, age_s: int, path: str
    ) -> None:
        # Lax, not strict: who comes back from the provider comes from another site.
        is_secure = self._frame.is_https(request) or self._is_behind_https()
        response.set_cookie(
            name, value, age_s, path=path, secure=is_secure, httponly=True, samesite="lax"
        )

    def _is_behind_https(self) -> bool:
        return bool(self._sso and (self._sso.redirect_url or "").startswith("https:"))

    def _return_address(self, request: Request) -> str:
        if self._sso is not None and self._sso.redirect_url:
            return self._sso.redirect_url
        scheme = "https" if self._frame.is_https(request) else "http"
        return f"{scheme}://{request.url.netloc}{RETURN}"

    def _page(self, request: Request, status: int, message: str, wanted: str) -> Response:
        provider = ""
        if self._sso is not None:
            provider = self._sso.name or urlsplit(self._sso.issuer).hostname or "OpenID"
        return self._frame.renderer.page(
            request, "sign_in.html", status, message=message, wanted=wanted, provider=provider
        )


def local(address: str) -> str:
    """Return where to go after the sign-in: a page of ours, never another site."""
    is_ours = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if is_ours and address.isprintable() and len(address) < 2000 else "/"

"""What every page shares: who looks, in which language, and what becomes of an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from santral.config.network import parse_address
from santral.config.schema import Config
from santral.console.form import Form, Given, read_form, require_same_site, require_token
from santral.console.render import HEADERS, Renderer, language_of
from santral.db.engine import Engine
from santral.errors import RequestError, SantralError
from santral.tenants.key import RandomBytes
from santral.tenants.permission import Action, Principal
from santral.tenants.sessions.session import Sessions, Visitor
from santral.web.peer import Networks

COOKIE = "santral_session"

#: Entries of the menu: address, word, and what one must be allowed to do somewhere to see it.
MENU: tuple[tuple[str, str, Action], ...] = (
    ("/", "overview", "traces.read"),
    ("/traces", "traces", "traces.read"),
    ("/collections", "collections", "collections.read"),
    ("/prompts", "prompts", "prompts.read"),
    ("/experiments", "experiments", "experiments.read"),
    ("/datasets", "datasets", "datasets.read"),
    ("/evals", "evals", "evals.read"),
    ("/monitors", "monitors", "evals.read"),
    ("/review", "review", "review.read"),
    ("/tenants", "tenants", "tenants.read"),
    ("/keys", "keys", "keys.read"),
    ("/users", "users", "users.read"),
    ("/limits", "limits", "limits.read"),
    ("/ledger", "ledger", "ledger.read"),
    ("/audit", "audit", "audit.read"),
    ("/jobs", "jobs", "jobs.read"),
)

#: What a page may say after something was done: the words of ``?done=…``.
DONE = frozenset(
    {
        "done_created",
        "done_changed",
        "done_deleted",
        "done_revoked",
        "done_switched_on",
        "done_switched_off",
        "done_granted",
        "done_taken",
        "done_removed",
        "done_cancelled",
        "done_started",
        "done_rated",
        "done_given_back",
        "done_decided",
        "done_sent",
    }
)


class Visit:
    """One look at one page by somebody who is signed in."""

    def __init__(self, frame: Frame, request: Request, visitor: Visitor, form: Form) -> None:
        self._frame = frame
        self._visitor = visitor
        self.request = request
        self.form = form
        self.trouble: RequestError | None = None  # what went wrong with the form just sent

    @property
    def principal(self) -> Principal:
        return self._visitor.principal

    @property
    def engine(self) -> Engine:
        return self._frame.engine

    @property
    def rng(self) -> RandomBytes:
        return self._frame.rng

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._frame.clock(), UTC)

    def asked(self, name: str) -> str:
        """Return a parameter of the address."""
        return self.request.query_params.get(name, "").strip()

    def place(self, name: str) -> str:
        """Return a part of the address's path."""
        return str(self.request.path_params[name])[:256]

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """Return a page in the frame of the console."""
        trouble = self.trouble
        done = self.asked("done") if trouble is None else ""
        return self._frame.renderer.page(
            self.request,
            template,
            status if trouble is None else trouble.status,
            menu=menu_of(self.principal),
            form_token=self._visitor.form_token,
            trouble=trouble.message if trouble else "",
            given=self.form.given() if trouble else Given(),
            done=done if done in DONE else "",
            principal=self.principal,
            **values,
        )

    def done(self, word: str, path: str, **query: str) -> Response:
        """Return the way to ``path``, where ``word`` says what was done."""
        return RedirectResponse(f"{path}?{urlencode({**query, 'done': word})}", 303, HEADERS)


Handler = Callable[[Visit], Awaitable[Response]]


class Frame:
    """Makes endpoints of handlers: who is not signed in is sent to the door, an error is a page."""

    def __init__(
        self,
        router: APIRouter,
        renderer: Renderer,
        sessions: Sessions,
        engine: Engine,
        config: Config,
        origin: Callable[[Request], str],
        rng: RandomBytes,
        clock: Callable[[], float],
    ) -> None:
        self.router = router
        self.renderer = renderer
        self.sessions = sessions
        self.engine = engine
        self.config = config
        self.origin = origin
        self.rng = rng
        self.clock = clock
        self._proxies = Networks(config.server.trusted_proxies)

    def is_https(self, request: Request) -> bool:
        """Whether the browser asks over https, to us or to a proxy that is trusted to say so."""
        if request.url.scheme == "https":
            return True
        try:
            peer = parse_address(request.client.host if request.client else "")
        except ValueError:
            return False
        return peer in self._proxies and request.headers.get("x-forwarded-proto") == "https"

    def show(self, path: str, handler: Handler) -> None:
        """Answer GET ``path`` with ``handler``."""

        async def answer(request: Request) -> Response:
            try:
                visitor = await self.who(request)
                if visitor is None:
                    return _to_the_door(request)
                return await handler(Visit(self, request, visitor, Form({})))
            except SantralError as error:
                return self.error(request, error)

        self.router.add_api_route(path, answer)

    def act(self, path: str, handler: Handler, again: Handler | None = None) -> None:
        """Answer POST ``path`` with ``handler``; what is wrong with the form is shown on ``again``."""

        async def answer(request: Request) -> Response:
            try:
                require_same_site(request)
                visitor = await self.who(request)
                if visitor is None:
                    return RedirectResponse("/sign-in", 303, HEADERS)
                form = await read_form(request)
                require_token(form, visitor.form_token)
                return await _try(handler, again, Visit(self, request, visitor, form))
            except SantralError as error:
                return self.error(request, error)

        self.router.add_api_route(path, answer, methods=["POST"])

    async def who(self, request: Request) -> Visitor | None:
        """Return who is signed in."""
        return await self.sessions.who(request.cookies.get(COOKIE), self.origin(request))

    def error(self, request: Request, error: SantralError) -> Response:
        """An error as a page in place of the one asked for."""
        t = language_of(request)
        title = t("not_found") if error.status == 404 else t("went_wrong")
        values: dict[str, Any] = {
            "title": title,
            "lead": t("unavailable") if error.status >= 500 else "",
            "message": error.message,
            "code": error.detail_code,
        }
        return self.renderer.page(request, "error.html", error.status, **values)


def menu_of(principal: Principal) -> Mapping[str, str]:
    """Return the pages that somebody may open, by address."""
    allowed = {path: word for path, word, action in MENU if _may_somewhere(principal, action)}
    return {**allowed, "/api/docs": "api"}


def _may_somewhere(principal: Principal, action: Action) -> bool:
    tenants = principal.tenants(action)
    return tenants is None or bool(tenants)


async def _try(handler: Handler, again: Handler | None, visit: Visit) -> Response:
    try:
        return await handler(visit)
    except RequestError as error:
        if again is None:
            raise
        visit.trouble = error
        return await again(visit)


def _to_the_door(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(wanted)}", 303, HEADERS)

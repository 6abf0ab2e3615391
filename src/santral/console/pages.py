"""The console's pages: overview, traces, one trace, and the way in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import parse_qs, quote

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from santral.config.schema import Config
from santral.console.reference import reference
from santral.console.render import HEADERS, Renderer, StaticFiles, language_of
from santral.console.session import COOKIE, LIFETIME_S, Sessions
from santral.console.view import WIDTH, columns, mark_at, pieces, waterfall
from santral.errors import RequestError, SantralError
from santral.tenants.keyring import Caller
from santral.traces.question import Cursor, Filters, parse_since, visible_to
from santral.traces.readable import messages
from santral.traces.signals.signal import FEW
from santral.traces.store import TraceStore

Handler = Callable[["Pages", Request, Caller], Awaitable[Response]]

WINDOWS = ("1h", "24h", "7d", "30d")
#: Lines of a list, and of the overview's. Chosen.
_PAGE, _LATEST = 50, 8
#: Stretches of a chart over time. Chosen: bars stay readable on a phone.
_STRETCHES = 48
#: A sign-in form holds one key. Chosen.
_MOST_FORM_BYTES = 4096
#: A raw record longer than this is not shown on the page. Chosen.
_MOST_RAW = 400_000


def console_router(
    store: TraceStore,
    identify: Callable[[str], Awaitable[Caller]],
    config: Config,
    clock: Callable[[], float] = time.monotonic,
) -> APIRouter:
    """Return the console; ``identify`` checks an admin key and says whose it is."""
    pages = Pages(store, Sessions(identify, clock), config)
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", pages.overview)
    router.add_api_route("/traces", pages.traces)
    router.add_api_route("/traces/{trace_id}", pages.trace)
    router.add_api_route("/sign-in", pages.sign_in)
    router.add_api_route("/sign-in", pages.take_key, methods=["POST"])
    router.add_api_route("/sign-out", pages.sign_out, methods=["POST"])
    router.add_api_route("/static/{name}", pages.static)
    router.add_api_route("/api/docs", pages.api)
    return router


def signed_in(handler: Handler) -> Callable[[Pages, Request], Awaitable[Response]]:
    """Wrap a page: who is not signed in is sent to the door, an error becomes a page."""

    @wraps(handler)
    async def answer(self: Pages, request: Request) -> Response:
        try:
            caller = await self.sessions.who(request.cookies.get(COOKIE))
            if caller is None:
                wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/sign-in?next={quote(wanted)}", 303, HEADERS)
            return await handler(self, request, caller)
        except SantralError as error:
            return self.error(request, error)

    # FastAPI reads the parameters of the page from what it calls, not from what was wrapped.
    del answer.__wrapped__
    return answer


class Pages:
    """What every page needs."""

    def __init__(self, store: TraceStore, sessions: Sessions[Caller], config: Config) -> None:
        self.sessions = sessions
        self._store = store
        self._config = config
        self._static = StaticFiles()
        self._renderer = Renderer(self._static)

    @signed_in
    async def overview(self, request: Request, caller: Caller) -> Response:
        """The four golden signals of a window, how they moved, and the latest traces."""
        window = _choice(request, "window", WINDOWS, "24h")
        route, now_us = request.query_params.get("route", ""), self._store.clock()
        tenant_id = visible_to(caller, request.query_params.get("tenant", ""))
        since_us = parse_since(window, now_us)
        signals = await self._store.signals(tenant_id, since_us, now_us, route)
        history = await self._store.history(tenant_id, since_us, now_us, _STRETCHES, route)
        meant = Filters(since_us=since_us, until_us=now_us, route=route)
        latest = await self._store.list_traces(tenant_id, meant, None, _LATEST)
        is_new = not signals.total.n and not await self._store.routes(tenant_id, 0)
        return self._renderer.page(
            request,
            "overview.html",
            window=window,
            windows=WINDOWS,
            golden=signals.total,
            signals=signals,
            columns=columns(history),
            slowest_us=max((b.p95_us or 0 for b in history), default=0),
            busiest=max((b.n for b in history), default=0),
            chart_width=WIDTH,
            few=FEW,
            latest=latest.traces,
            first_steps=self._first_steps() if is_new else None,
        )

    @signed_in
    async def traces(self, request: Request, caller: Caller) -> Response:
        """The list of traces, with filters and pages."""
        asked = request.query_params
        if sought := asked.get("id", "").strip():
            return RedirectResponse(f"/traces/{quote(sought, safe='')}", 303, HEADERS)
        window, now_us = _choice(request, "window", WINDOWS, "24h"), self._store.clock()
        tenant_id = visible_to(caller, asked.get("tenant", ""))
        filters = Filters(
            since_us=parse_since(window, now_us),
            until_us=now_us + 1,
            route=asked.get("route", ""),
            status=asked.get("status", ""),
            error=asked.get("error", "").strip(),
        )
        before = Cursor.parse(asked["before"]) if asked.get("before") else None
        page = await self._store.list_traces(tenant_id, filters, before, _PAGE)
        names = ("route", "status", "error", "tenant")
        return self._renderer.page(
            request,
            "traces.html",
            window=window,
            windows=WINDOWS,
            page=page,
            filters={name: asked.get(name, "") for name in names},
            is_filtered=any(asked.get(name) for name in names),
            is_first=before is None,
            routes=await self._store.routes(tenant_id, filters.since_us),
            statuses=("ok", "error", "4xx", "5xx", "429"),
        )

    @signed_in
    async def trace(self, request: Request, caller: Caller) -> Response:
        """Everything about one trace."""
        trace_id = str(request.path_params["trace_id"])[:64]
        found = await self._store.get_trace(visible_to(caller, ""), trace_id)
        record = found.trace
        raw = msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
        payload = record.payload
        cited = frozenset(source.number for source in record.sources)
        return self._renderer.page(
            request,
            "trace.html",
            trace=record,
            others=found.others,
            bars=waterfall(record),
            steps=len(record.spans) + len(record.attempts),
            first_token_at=mark_at(record.ttft_us, record),
            chart_width=WIDTH,
            provider_us=sum(attempt.duration_us for attempt in record.attempts),
            said=list(messages(payload.request)) if payload else [],
            answer=pieces(payload.response, cited) if payload else [],
            raw=raw if len(raw) <= _MOST_RAW else raw[:_MOST_RAW] + "\n…",
        )

    async def sign_in(self, request: Request) -> Response:
        """The door."""
        return self._door(request, 200, "", _local(request.query_params.get("next", "/")))

    async def take_key(self, request: Request) -> Response:
        """Begin a session with the key of the form."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return Response("Sign in on the console's own page.\n", 403, HEADERS, "text/plain")
        form = await _form(request)
        wanted = _local(form.get("next", "/"))
        try:
            cookie = await self.sessions.begin(form.get("key", "").strip())
        except RequestError as error:
            return self._door(request, error.status, error.message, wanted)
        except SantralError as error:
            return self.error(request, error)
        response = RedirectResponse(wanted, 303, HEADERS)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, cookie, LIFETIME_S, secure=is_secure, httponly=True, samesite="strict"
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        self.sessions.end(request.cookies.get(COOKIE))
        response = RedirectResponse("/sign-in", 303, HEADERS)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def static(self, name: str) -> Response:
        """One of our own files."""
        return self._static.answer(name)

    async def api(self, request: Request) -> Response:
        """The admin API, from its OpenAPI document; open to all, as the document is."""
        described = reference(request.app.openapi())
        return self._renderer.page(
            request,
            "api.html",
            origin=str(request.base_url).rstrip("/"),
            endpoints=described.endpoints,
            objects=described.objects,
            named=frozenset(item.name for item in described.objects),
            is_signed_in=await self.sessions.who(request.cookies.get(COOKIE)) is not None,
        )

    def error(self, request: Request, error: SantralError) -> Response:
        """An error as a page in place of the one asked for."""
        t = language_of(request)
        title = t("not_found") if error.status == 404 else t("went_wrong")
        lead = t("unavailable") if error.status >= 500 else ""
        values = {"title": title, "lead": lead, "message": error.message, "code": error.detail_code}
        return self._renderer.page(request, "error.html", error.status, **values)

    def _door(self, request: Request, status: int, message: str, wanted: str) -> Response:
        return self._renderer.page(request, "sign_in.html", status, message=message, wanted=wanted)

    def _first_steps(self) -> dict[str, str]:
        """Return the commands that make the first trace of this installation."""
        server = self._config.server
        host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host  # noqa: S104
        model = next(iter(self._config.routes), next(iter(self._config.deployments), "extractive"))
        body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
        return {
            "key": "export KEY=$(santral keys create --name my-app)",
            "ask": f"curl http://{host}:{server.port}/v1/chat/completions \\\n"
            '  -H "authorization: Bearer $KEY" -H "content-type: application/json" \\\n'
            f"  -d '{body}'",
            "ingest": "santral ingest ./docs --collection docs",
        }


def _choice(request: Request, name: str, known: tuple[str, ...], default: str) -> str:
    value = request.query_params.get(name, "")
    return value if value in known else default


def _local(address: str) -> str:
    """Return where to go after the sign-in: a page of ours, never another site."""
    is_ours = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if is_ours and address.isprintable() and len(address) < 2000 else "/"


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a small form; of a large one nothing."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[-1] for name, values in fields.items()}

"""``/api/traces`` and ``/api/signals``: what happened, for scripts and the command line."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from santral.tenants.permission import Authorise, Principal
from santral.traces.question import MAX_LIMIT, Cursor, Filters, parse_since, shown_to, visible_to
from santral.traces.store import TraceStore


class Window(BaseModel):
    """Which requests are meant."""

    model_config = ConfigDict(extra="forbid")

    tenant: str = Field("", description="Id of one tenant; default every tenant.")
    route: str = Field("", description="Name of one route.")
    since: str = Field("", description="Age such as 15m, 24h, 7d, or an ISO time; default 24h.")
    until: str = Field("", description="Age or time at which the window ends; default now.")

    def filters(self, now_us: int, **further: str) -> Filters:
        """Return the window as the store understands it."""
        return Filters(
            since_us=parse_since(self.since, now_us),
            until_us=parse_since(self.until or "0s", now_us) + (not self.until),
            route=self.route,
            **further,
        )


class TraceQuery(Window):
    """Which traces to list."""

    status: str = Field("", description="ok, error, a class such as 4xx, or a status such as 429.")
    error: str = Field("", description="A part of the error code.", max_length=100)
    before: str = Field("", description="The field next of the page before.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Longest page.")


def traces_router(store: TraceStore, authorise: Authorise) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api", tags=["traces"])
    reader: Any = Depends(authorise("traces.read"))

    @router.get("/traces")
    async def list_traces(
        query: Annotated[TraceQuery, Query()], by: Principal = reader
    ) -> Response:
        """List traces, newest first; ``next`` goes into ``before`` for the page after."""
        filters = query.filters(store.clock(), status=query.status, error=query.error)
        before = Cursor.parse(query.before) if query.before else None
        whose = visible_to(by, query.tenant)
        return _json(await store.list_traces(whose, filters, before, query.limit))

    @router.get("/traces/{trace_id}")
    async def get_trace(
        trace_id: Annotated[
            str, Path(max_length=64, description="Its id, a beginning of it, or a request's id.")
        ],
        by: Principal = reader,
    ) -> Response:
        """Return one trace by its id, a beginning of it, or the id of its request.

        Fields that hold their default are left out. What was said is shown to roles that may read
        payloads.
        """
        return _json(shown_to(by, await store.get_trace(visible_to(by, ""), trace_id)))

    @router.get("/signals")
    async def get_signals(query: Annotated[Window, Query()], by: Principal = reader) -> Response:
        """Return latency, cost, quality and safety of a window: in all, by route and by tenant."""
        window = query.filters(store.clock())
        whose = visible_to(by, query.tenant)
        return _json(await store.signals(whose, window.since_us, window.until_us, window.route))

    del list_traces, get_trace, get_signals  # the router holds them
    return router


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")

"""The console: every page, gathered."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from santral.config.schema import Config
from santral.console.audit import AuditPages
from santral.console.collections import CollectionPages
from santral.console.datasets import DatasetPages
from santral.console.door import Door, Identify
from santral.console.evals import EvalPages
from santral.console.experiments import ExperimentPages
from santral.console.frame import Frame, menu_of
from santral.console.jobs import JobPages
from santral.console.keys import KeyPages
from santral.console.ledger import LedgerPages
from santral.console.limits import LimitPages
from santral.console.monitors import MonitorPages
from santral.console.prompts import PromptPages
from santral.console.reference import reference
from santral.console.render import Renderer, StaticFiles
from santral.console.review import ReviewPages
from santral.console.tenants import TenantPages
from santral.console.traces import TracePages
from santral.console.users import UserPages
from santral.db.engine import Engine
from santral.gateway.held.cabinet import HeldCabinet
from santral.retrieval.search.retriever import Retriever
from santral.review.seat import Seat
from santral.tenants.key import RandomBytes
from santral.tenants.sessions.session import Sessions
from santral.traces.store import TraceStore

if TYPE_CHECKING:  # it needs the extra 'sso'
    from santral.tenants.oidc.flow import SignIn


def console_router(
    engine: Engine,
    store: TraceStore,
    config: Config,
    *,
    identify: Identify,
    origin: Callable[[Request], str],
    clock: Callable[[], float],
    sign_in: SignIn | None = None,
    rng: RandomBytes = secrets.token_bytes,
    retriever: Retriever | None = None,
) -> APIRouter:
    """Return the console.

    ``identify`` checks an admin key that comes from an address, ``origin`` says from which address a
    request comes, ``clock`` is seconds since 1970, ``sign_in`` is the way through an OpenID provider
    where there is one, ``retriever`` searches collections where this process can.
    """
    router = APIRouter(include_in_schema=False)
    static = StaticFiles()
    frame = Frame(
        router,
        Renderer(static),
        Sessions(engine, rng, clock),
        engine,
        config,
        origin,
        rng,
        clock,
    )
    Door(frame, identify, sign_in)
    TracePages(frame, store)
    CollectionPages(frame, retriever)
    ExperimentPages(frame, store)
    DatasetPages(frame)
    PromptPages(frame)
    EvalPages(frame)
    cabinet = HeldCabinet(config.data.folder / "objects", clock)
    ReviewPages(frame, Seat(engine, store.sealer, cabinet, lambda: _chance(rng)), store)
    TenantPages(frame)
    KeyPages(frame)
    UserPages(frame)
    LimitPages(frame)
    LedgerPages(frame)
    AuditPages(frame)
    MonitorPages(frame)
    JobPages(frame)
    Manual(frame, static)
    return router


def _chance(rng: RandomBytes) -> float:
    """Return a number from 0 to below 1."""
    return int.from_bytes(rng(7)) / 2**56


class Manual:
    """What is open to all: our own files, and the page of the admin API."""

    def __init__(self, frame: Frame, static: StaticFiles) -> None:
        self._frame = frame
        self._static = static
        frame.router.add_api_route("/static/{name}", self.static)
        frame.router.add_api_route("/api/docs", self.api)

    async def static(self, name: str) -> Response:
        """One of our own files."""
        return self._static.answer(name)

    async def api(self, request: Request) -> Response:
        """The admin API, from its OpenAPI document; open to all, as the document is."""
        described = reference(request.app.openapi())
        visitor = await self._frame.who(request)
        return self._frame.renderer.page(
            request,
            "api.html",
            origin=str(request.base_url).rstrip("/"),
            endpoints=described.endpoints,
            objects=described.objects,
            named=frozenset(item.name for item in described.objects),
            is_signed_in=visitor is not None,
            menu=menu_of(visitor.principal) if visitor else {"/api/docs": "api"},
            form_token=visitor.form_token if visitor else "",
        )

"""``/api/sources``: where documents come from; ``/hooks/sources``: sites that say they have changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from santral.config.sources import SourcesConfig
from santral.db.engine import Engine
from santral.retrieval.sources import hook, keep
from santral.retrieval.sources.keep import StartRun
from santral.retrieval.sources.record import KeptSource
from santral.retrieval.sources.registry import KINDS
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT


class NewSourceBody(BaseModel):
    """A source to add."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose collection.")
    collection: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}$", description="Where its documents go."
    )
    kind: str = Field(max_length=32, description=f"{', '.join(KINDS)}.")
    settings: dict[str, Any] = Field(description="As its kind has them; secrets by reference.")
    every_s: int = Field(0, ge=0, description="Seconds between two runs; 0: when somebody asks.")


class SourceChangeBody(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] | None = Field(None, description="null puts one back to its default.")
    every_s: int | None = Field(None, ge=0, description="Seconds between two runs; 0: none.")
    is_paused: bool | None = Field(None, description="Whether its schedule and webhook rest.")


class SourceBody(BaseModel):
    """A source, and how its last run ended."""

    id: str
    tenant_id: str
    collection: str
    kind: str
    settings: dict[str, Any]
    every_s: int
    next_at: datetime | None
    last_at: datetime | None
    last_job: str
    last_state: str = Field(description="running, done, failed, cancelled; empty: none yet.")
    last_error: str
    last_result: dict[str, Any] | None
    failures: int = Field(description="Runs in a row that failed.")
    is_paused: bool
    is_leaving: bool = Field(description="Being deleted, once its documents are gone.")
    has_token: bool = Field(description="Whether its webhook has a token.")
    created_by: str
    created_at: datetime
    documents: int | None = Field(None, description="Documents it brought; only of one source.")


class SourceList(BaseModel):
    """Sources, by tenant and collection."""

    sources: list[SourceBody]


class RunBody(BaseModel):
    """The job of a run: `GET /api/jobs/{id}` says how far it is."""

    job: str


class TokenBody(BaseModel):
    """The token of a webhook, at the only moment when it is shown."""

    token: str
    path: str = Field(description="Where to send the webhook, on the control port.")


class RungBody(BaseModel):
    """What became of a webhook."""

    is_asked: bool = Field(description="False: a run was to begin anyway, or the source rests.")


def sources_router(
    engine: Engine,
    config: SourcesConfig,
    authorise: Authorise,
    *,
    start: StartRun,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``start`` begins the job of a run."""
    router = APIRouter(prefix="/api", tags=["sources"])
    reader: Any = Depends(authorise("collections.read"))
    writer: Any = Depends(authorise("collections.write"))

    @router.get("/sources")
    async def list_sources(
        tenant_id: Annotated[str | None, Query(description="Of one tenant; default all.")] = None,
        collection: Annotated[str, Query(description="Of one collection.")] = "",
        by: Principal = reader,
    ) -> SourceList:
        """List sources and how their last runs ended."""
        found = await keep.list_sources(engine, by=by, tenant=tenant_id, collection=collection)
        return SourceList(sources=list(map(_body, found)))

    @router.post("/sources", status_code=201)
    async def add_source(body: NewSourceBody, by: Principal = writer) -> SourceBody:
        """Add a source; it runs as soon as it can, then as its schedule says."""
        return _body(
            await keep.add_source(
                engine, config, body.tenant_id, body.collection, body.kind, body.settings, clock(),
                by=by, every_s=body.every_s,
            )
        )  # fmt: skip

    @router.get("/sources/{id}")
    async def get_source(id: _Id, by: Principal = reader) -> SourceBody:
        """Show one source."""
        source, documents = await keep.show_source(engine, id, by=by)
        return _body(source).model_copy(update={"documents": documents})

    @router.patch("/sources/{id}")
    async def change_source(id: _Id, body: SourceChangeBody, by: Principal = writer) -> SourceBody:
        """Change settings or schedule, pause, go on."""
        return _body(
            await keep.change_source(
                engine, config, id, clock(),
                by=by, settings=body.settings, every_s=body.every_s, is_paused=body.is_paused,
            )
        )  # fmt: skip

    @router.post("/sources/{id}/run", status_code=202)
    async def run_source(id: _Id, by: Principal = writer) -> RunBody:
        """Take the source in now, or name the run that does it already."""
        return RunBody(job=(await keep.run_source(engine, id, clock(), by=by, start=start)).id)

    @router.post("/sources/{id}/token")
    async def renew_token(id: _Id, by: Principal = writer) -> TokenBody:
        """Make a token for the source's webhook, in place of an earlier one."""
        return TokenBody(
            token=await keep.renew_token(engine, id, by=by), path=f"/hooks/sources/{id}"
        )

    @router.delete("/sources/{id}", status_code=202)
    async def delete_source(
        id: _Id,
        keep_documents: Annotated[bool, Query(description="Whether its documents stay.")] = False,
        by: Principal = writer,
    ) -> SourceBody:
        """Delete a source: its documents first, in a run of their own, or without them."""
        return _body(
            await keep.delete_source(engine, id, clock(), by=by, keep_documents=keep_documents)
        )

    del list_sources, add_source, get_source, change_source, run_source, renew_token, delete_source
    return router


def hooks_router(
    engine: Engine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> APIRouter:
    """Return the endpoint of webhooks: the source's own token opens it, and nothing else."""
    router = APIRouter(prefix="/hooks", tags=["sources"])
    turnstile = hook.Turnstile()

    @router.post("/sources/{id}", status_code=202)
    async def ring(id: _Id, request: Request) -> RungBody:
        """Say that a source has changed: it runs soon, once however often this is called."""
        now = clock()
        turnstile.enter(id, now)
        origin = request.client.host if request.client is not None else ""
        call = hook.call_of(request.headers)
        asked = await hook.ring(engine, id, call, request.stream(), now, origin=origin)
        return RungBody(is_asked=asked)

    del ring  # the router holds it
    return router


_Id = Annotated[str, Path(max_length=64, description="Its id.")]


def _body(source: KeptSource) -> SourceBody:
    shown = {n: getattr(source, n) for n in SourceBody.model_fields if hasattr(source, n)}
    return SourceBody(**shown, has_token=bool(source.token_digest))

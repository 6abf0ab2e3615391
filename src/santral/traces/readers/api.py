"""``/api/collections/{name}/documents/{id}/readers``: who was answered from a document."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import TenantId
from santral.traces.question import parse_since
from santral.traces.readers import store as readers_store
from santral.traces.readers.reader import MAX_READERS, Reader
from santral.traces.store import TraceStore
from santral.traces.whose import Whose


class ReaderBody(BaseModel):
    """A request that was answered from the document."""

    trace_id: str
    started_at_us: int = Field(description="Microseconds since the Unix epoch.")
    tenant_id: str
    key_id: str
    user: str = Field(description="Whom the request named, or the user whose key it is.")
    route: str
    collection: str
    chunk_id: str
    rank: int = Field(description="Place of the passage among those that the model was given.")
    is_cited: bool


class ReaderList(BaseModel):
    """Who was answered from a document, the newest first."""

    readers: list[ReaderBody]


def readers_router(store: TraceStore, authorise: Authorise) -> APIRouter:
    """Return the endpoint; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api/collections", tags=["collections"])
    reader: Any = Depends(authorise("audit.read"))

    @router.get("/{name}/documents/{id}/readers")
    async def list_readers(
        name: Annotated[str, Path(max_length=128, description="The collection.")],
        id: Annotated[str, Path(max_length=64, description="The document's id.")],
        tenant: Annotated[
            str, Query(max_length=128, description="Whose requests; default all that you see.")
        ] = "",
        since: Annotated[
            str, Query(max_length=64, description="Age such as 24h, 7d, or an ISO time.")
        ] = "30d",
        limit: Annotated[int, Query(ge=1, le=MAX_READERS, description="Longest list.")] = 100,
        by: Principal = reader,
    ) -> ReaderList:
        """List the requests that were answered from a document, the newest first."""
        question = partial(
            readers_store.readers,
            whose=_whose(by, tenant),
            document_id=id,
            collection=name,
            since_us=parse_since(since, store.clock()),
            limit=limit,
        )
        return ReaderList(readers=[_body(found) for found in await store.ask(question)])

    del list_readers  # the router's
    return router


def _whose(by: Principal, tenant: str) -> Whose:
    if not tenant:
        return by.tenants("audit.read")
    by.require("audit.read", TenantId(tenant))
    return tenant


def _body(found: Reader) -> ReaderBody:
    return ReaderBody(**{name: getattr(found, name) for name in Reader.__struct_fields__})

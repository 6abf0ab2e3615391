"""``/api/audit``: the rows about the tenants that the caller may look into."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from santral.audit.entry import Entry
from santral.audit.history import MAX_LISTED, list_entries, show_entry
from santral.audit.store import Question
from santral.db.engine import Engine
from santral.errors import NotFound


class Reader(Protocol):
    """Who asks: knows the tenants that it may look into."""

    def tenants(self, action: Any) -> Collection[str] | None:
        """Return the tenants on which it may do ``action``; None: every one."""
        ...


class AuditQuery(BaseModel):
    """Which rows to list."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field("", description="About this tenant; `*`: about the installation.")
    actor: str = Field("", description="By this one, e.g. `user:usr_…`.")
    action: str = Field("", description="This act, or all that begin so where it ends in a dot.")
    object: str = Field("", description="On this, e.g. `key:key_…` or `trace:…`.")
    since: AwareDatetime | None = Field(None, description="Not older than this.")
    until: AwareDatetime | None = Field(None, description="Older than this.")
    before: int | None = Field(None, ge=1, description="With a smaller number: the next page.")
    limit: int = Field(50, ge=1, le=MAX_LISTED, description="Most rows.")


class EntryBody(BaseModel):
    """One row."""

    number: int
    occurred_at: datetime
    tenant_id: str
    actor: str
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    origin: str
    previous_hash: str
    hash: str


class EntryList(BaseModel):
    """The latest rows, the newest first; ``next_before`` asks for the page after it."""

    entries: list[EntryBody]
    next_before: int | None


def audit_router(engine: Engine, authorise: Callable[[Any], Callable[..., Any]]) -> APIRouter:
    """Return the endpoints; ``authorise("audit.read")`` makes the dependency that gives the reader."""
    router = APIRouter(prefix="/api", tags=["audit"])
    reader: Any = Depends(authorise("audit.read"))

    @router.get("/audit")
    async def list_audit(query: Annotated[AuditQuery, Query()], who: Any = reader) -> EntryList:
        """List the latest rows about the tenants that the caller may look into."""
        question = Question(
            tenants=_visible(who, query.tenant_id),
            actor=query.actor,
            action=query.action,
            object=query.object,
            since=query.since,
            until=query.until,
            before=query.before,
            limit=query.limit,
        )
        found = await list_entries(engine, question)
        is_full = len(found) == query.limit
        return EntryList(
            entries=[_body(entry) for entry in found],
            next_before=found[-1].number if is_full else None,
        )

    @router.get("/audit/{number}")
    async def show_audit(
        number: Annotated[int, Path(ge=1, description="Its number.")], who: Any = reader
    ) -> EntryBody:
        """Show one row."""
        return _body(await show_entry(engine, number, _visible(who, "")))

    del list_audit, show_audit  # the router holds them
    return router


def _visible(who: Reader, tenant_id: str) -> Collection[str] | None:
    """Return the tenants to look into.

    Raises:
        NotFound: the caller may not look into ``tenant_id``, or there is no such tenant.
    """
    allowed = who.tenants("audit.read")
    if not tenant_id:
        return allowed
    if allowed is not None and tenant_id not in allowed:
        raise NotFound(
            f"There is no tenant '{tenant_id[:64]}' whose audit log you may read.",
            param="tenant_id",
        )
    return {tenant_id}


def _body(entry: Entry) -> EntryBody:
    return EntryBody(
        number=entry.number,
        occurred_at=entry.occurred_at,
        tenant_id=entry.tenant_id,
        actor=entry.actor,
        action=entry.action,
        object=entry.object,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
        origin=entry.origin,
        previous_hash=entry.previous_hash,
        hash=entry.hash,
    )

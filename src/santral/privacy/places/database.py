"""What the control database says of a person: money, limits, documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from santral.db.engine import Engine, reading, writing
from santral.privacy import store
from santral.privacy.counters import Counters
from santral.privacy.place import Found
from santral.privacy.subject import Subject
from santral.quota.ledger.entry import ERASED
from santral.retrieval.ingest.body import texts_of, unpacked
from santral.secrets.pseudonym import Pseudonyms
from santral.tenants.tenant import TenantId


class Ledger:
    """Rows of money stay, under a name that leads to nobody without the installation's key."""

    name = "ledger"
    about = (
        "What was spent. Accounts have to be kept by law, so rows stay; the user's id becomes a keyed "
        "pseudonym, the same for all of one person's rows. Tags cannot be changed."
    )
    tables = frozenset({"database.ledger"})

    def __init__(self, engine: Engine, pseudonyms: Pseudonyms) -> None:
        self._engine = engine
        self._pseudonyms = pseudonyms

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count rows that name the user, and those whose tags do."""
        words = tuple(word for word in (subject.user, *subject.texts) if word)
        async with reading(self._engine) as conn:
            rows = await store.count_ledger(conn, tenant_id, subject.user) if subject.user else 0
            tagged = await store.count_tagged(conn, tenant_id, words) if words else 0
        left = (
            (f"{tagged} rows of the ledger have it in a tag; these rows cannot change any more",)
            if tagged
            else ()
        )
        return Found(own={"rows": rows} if rows else {}, left=left)

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the person's rows."""
        if subject.user:
            async with reading(self._engine) as conn:
                rows = await store.ledger_rows(conn, tenant_id, subject.user)
            for row in rows:
                yield row

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Give the person's rows a pseudonym."""
        if subject.user:
            pseudonym = ERASED + self._pseudonyms.of_user(tenant_id, subject.user)
            async with writing(self._engine) as conn:
                await store.rename_in_ledger(conn, tenant_id, subject.user, pseudonym)


class Limits:
    """Rules of limits that are about one user, what was said about them, and what Redis counts."""

    name = "limits"
    about = (
        "Limits and budgets of one user, alerts about them, and counters of the user in Redis. They "
        "are deleted; what a limit counted begins anew."
    )
    tables = frozenset({"database.limit_rules", "database.alerts"})

    def __init__(self, engine: Engine, counters: Counters | None = None) -> None:
        self._engine = engine
        self._counters = counters

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count rules and alerts."""
        if not subject.user:
            return Found()
        async with reading(self._engine) as conn:
            counts = await store.count_limits(conn, tenant_id, subject.user)
            rules = await store.user_rules(conn, tenant_id)
        if self._counters is not None:
            scopes = _scopes(tenant_id, subject)
            counts["counters in Redis"] = await self._counters.count(rules, scopes)
        return Found(own={kind: count for kind, count in counts.items() if count})

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the rules about the person."""
        if subject.user:
            async with reading(self._engine) as conn:
                rows = await store.limit_rows(conn, tenant_id, subject.user)
            for row in rows:
                yield row

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Delete counters, while their rules still name them, then rules and alerts.

        Raises:
            StoreError: Redis does not answer; it is tried again later.
        """
        if not subject.user:
            return
        if self._counters is not None:
            async with reading(self._engine) as conn:
                rules = await store.user_rules(conn, tenant_id)
            await self._counters.delete(rules, _scopes(tenant_id, subject))
        async with writing(self._engine) as conn:
            await store.delete_limits(conn, tenant_id, subject.user)


def _scopes(tenant_id: TenantId, subject: Subject) -> tuple[str, str]:
    """Return what rules call the user: those of the installation put the tenant before."""
    return subject.user, f"{tenant_id}/{subject.user}"


class Documents:
    """What the tenant published for search: its own texts, so a person decides."""

    name = "documents"
    about = (
        "Documents that were ingested, their chunks and indexes. They are texts of the tenant, not of "
        "the person's requests: those that hold a text that was asked for are named, and left to a "
        "person to edit and ingest anew."
    )
    tables = frozenset(
        {
            "database.documents",
            "database.document_bodies",
            "database.chunks",
            "database.collections",
        }
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Name the documents that hold one of the texts."""
        if not subject.texts:
            return Found()
        async with reading(self._engine) as conn:
            rows = await store.documents_with(conn, tenant_id, subject.texts)
            others = await store.bodies_without_chunks(conn, tenant_id)
        wanted = [text.lower() for text in subject.texts]
        rows += [
            (collection, source)
            for collection, source, body in others
            if _holds("\n".join(texts_of(unpacked(body))).lower(), wanted)
        ]
        return Found(
            left=tuple(
                f"document {source} in {collection}: edit it and ingest it anew"
                for collection, source in rows
            )
        )

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield nothing: documents are the tenant's words."""
        return
        yield

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Leave them: what ``find`` names is in the proof."""


def _holds(text: str, wanted: Sequence[str]) -> bool:
    return any(word in text for word in wanted)

"""Examples of data sets that hold somebody's words, and answers to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from santral.db.engine import Engine, reading, writing
from santral.privacy import store
from santral.privacy.place import Found
from santral.privacy.subject import Mentions, Subject
from santral.tenants.tenant import TenantId

#: Rows that are read at once. Chosen.
_BATCH = 500
#: What stands before a session in an example that names no user. Source: santral/evals/datasets.
_SESSION = "session:"


class _Mention(NamedTuple):
    """A row of somebody else that mentions the person, and what it says without that."""

    table: str
    key: tuple[Any, ...]
    changed: dict[str, Any]


class Examples:
    """A person's examples are emptied in every revision and version; others lose the mention alone."""

    name = "datasets"
    about = (
        "Examples of data sets, and answers to them that evaluations keep. The person's own become a "
        "revision of the kind erase: what they held goes from every revision, so from every version, "
        "whose manifests keep the hash of what was there. Answers to them are deleted. In others, a "
        "text that was asked for becomes [erased], and the hash stays that of what it was."
    )
    tables = frozenset(f"database.{name}" for name in store.TABLES_WITH_WORDS)

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count own examples and answers to them, and rows of others that mention the person."""
        async with reading(self._engine) as conn:
            rows = await store.own_revisions(conn, tenant_id, _subjects(subject))
            answers = await store.count_answers(conn, tenant_id, _hashes(rows))
        examples = len({(row["dataset"], row["example_id"]) for row in rows})
        mentions = 0
        async for _ in self._mentioning(tenant_id, subject):
            mentions += 1
        counts = {"examples": examples, "answers": answers}
        return Found(own={kind: n for kind, n in counts.items() if n}, mentions=mentions)

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the revisions that hold the person's words."""
        async with reading(self._engine) as conn:
            rows = await store.own_revisions(conn, tenant_id, _subjects(subject))
        for row in rows:
            yield {
                "dataset": row["dataset"],
                "example": row["example_id"],
                "revision": row["revision"],
                "content": row["content"],
                "created_at": row["created_at"].isoformat(),
            }

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Empty what is the person's own, delete answers to it, and take mentions out."""
        subjects = _subjects(subject)
        async with writing(self._engine) as conn:
            rows = await store.own_revisions(conn, tenant_id, subjects)
            await store.delete_answers(conn, tenant_id, _hashes(rows))
            await store.empty_revisions(conn, tenant_id, subjects, self._clock())
        async for mention in self._mentioning(tenant_id, subject):
            async with writing(self._engine) as conn:
                await store.replace_words(
                    conn, tenant_id, mention.table, mention.key, mention.changed
                )

    async def _mentioning(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[_Mention]:
        mentions = Mentions(subject.texts)
        for table in store.TABLES_WITH_WORDS if mentions else ():
            after: tuple[Any, ...] = ()
            while True:
                async with reading(self._engine) as conn:
                    rows = await store.words_page(conn, tenant_id, table, after, _BATCH)
                if not rows:
                    break
                after = rows[-1][0]
                for key, columns in rows:
                    changed = _without(mentions, columns)
                    if changed:
                        yield _Mention(table, key, changed)


def _without(mentions: Mentions, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that mention the person, without that."""
    changed: dict[str, Any] = {}
    for name, value in columns.items():
        if value is None:
            continue
        text = msgspec.json.encode(value).decode()
        other = mentions.without_in_json(text)
        if other != text:
            changed[name] = msgspec.json.decode(other)
    return changed


def _hashes(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({row["content_hash"] for row in rows})


def _subjects(subject: Subject) -> tuple[str, ...]:
    """Return what examples call the person."""
    sessions = tuple(f"{_SESSION}{session}"[:256] for session in subject.sessions)
    return (subject.user[:256], *sessions) if subject.user else sessions

"""What people were asked to judge, and what they wrote about it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from santral.db.engine import Engine, reading, writing
from santral.errors import DataKeyGone
from santral.privacy import store
from santral.privacy.place import Found
from santral.privacy.subject import Mentions, Subject
from santral.secrets.sealer import Sealer
from santral.tenants.tenant import TenantId
from santral.traces.store import TraceStore

#: Items that are read at once. Chosen.
_BATCH = 200
#: What stands before a session in an item that names no user. Source: santral/review/looking.
_SESSION = "session:"


class _Mention(NamedTuple):
    """An item of somebody else that mentions the person, and what it says without that."""

    item_id: str
    content: dict[str, Any]
    words: list[tuple[int, str, dict[str, Any] | None]]


class Reviews:
    """A person's own items go whole, with what raters said; others lose the mention alone."""

    name = "reviews"
    about = (
        "Items of review queues: conversations that people were asked to judge, and what they wrote "
        "of them. The person's own are deleted with every rating; in others, and in comments of "
        "raters, a text that was asked for becomes [erased]."
    )
    tables = frozenset({"database.review_items", "database.review_tasks"})

    def __init__(self, engine: Engine, traces: TraceStore) -> None:
        self._engine = engine
        self._traces = traces

    @property
    def _sealer(self) -> Sealer | None:
        return self._traces.sealer

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count own items, and items of others that mention the person."""
        async with reading(self._engine) as conn:
            rows = await store.review_rows(conn, tenant_id, _subjects(subject))
        mentions = 0
        async for _ in self._mentioning(tenant_id, subject):
            mentions += 1
        return Found(own={"items": len(rows)} if rows else {}, mentions=mentions)

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield what was shown of the person, and when; who judged it is the tenant's affair."""
        async with reading(self._engine) as conn:
            rows = await store.review_rows(conn, tenant_id, _subjects(subject))
        for row in rows:
            content = row["content"]
            yield {
                "queue": row["queue"],
                "trace_id": row["trace_id"],
                "created_at": row["created_at"].isoformat(),
                "shown": await self._shown(tenant_id, row["id"], content),
                "outcome": row["outcome"],
            }

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Take mentions out, and delete what is the person's own."""
        async for mention in self._mentioning(tenant_id, subject):
            async with writing(self._engine) as conn:
                await store.replace_review(conn, tenant_id, mention.item_id, mention.content)
                for slot, comment, labels in mention.words:
                    await store.replace_review_words(
                        conn, tenant_id, mention.item_id, slot, comment, labels
                    )
        async with writing(self._engine) as conn:
            await store.delete_reviews(conn, tenant_id, _subjects(subject))

    async def _mentioning(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[_Mention]:
        mentions, after, own = Mentions(subject.texts), "", _subjects(subject)
        while mentions:
            async with reading(self._engine) as conn:
                rows = await store.other_reviews(conn, tenant_id, own, after, _BATCH)
                said = {id_: await store.review_words(conn, tenant_id, id_) for id_, _ in rows}
            if not rows:
                return
            after = rows[-1][0]
            for item_id, content in rows:
                changed = await self._without(tenant_id, item_id, content, mentions)
                words = [
                    (slot, mentions.without(comment), _plain(mentions, labels))
                    for slot, comment, labels in said[item_id]
                ]
                if changed != content or words != said[item_id]:
                    yield _Mention(item_id, changed, words)

    async def _without(
        self, tenant_id: TenantId, item_id: str, content: dict[str, Any], mentions: Mentions
    ) -> dict[str, Any]:
        shown = await self._shown(tenant_id, item_id, content)
        if shown is None:
            return content
        text = msgspec.json.encode(shown).decode()
        changed = mentions.without_in_json(text)
        if changed == text:
            return content
        if not content.get("sealed") or self._sealer is None:
            return {**content, "shown": msgspec.json.decode(changed)}
        sealed = await self._sealer.seal(tenant_id, _place(item_id), changed.encode())
        return {**content, "sealed": b64encode(sealed).decode()}

    async def _shown(self, tenant_id: TenantId, item_id: str, content: dict[str, Any]) -> Any:
        """Return what raters see; None where it cannot be opened: its key is gone, or not here."""
        if not content.get("sealed"):
            return content.get("shown")
        if self._sealer is None:
            return None
        try:
            data = await self._sealer.open(tenant_id, _place(item_id), b64decode(content["sealed"]))
        except DataKeyGone:
            return None
        return msgspec.json.decode(data)


def _subjects(subject: Subject) -> tuple[str, ...]:
    """Return what items call the person."""
    sessions = tuple(f"{_SESSION}{session}" for session in subject.sessions)
    return (subject.user, *sessions) if subject.user else sessions


def _plain(mentions: Mentions, labels: dict[str, Any] | None) -> dict[str, Any] | None:
    if labels is None:
        return None
    return msgspec.json.decode(mentions.without_in_json(msgspec.json.encode(labels).decode()))


def _place(item_id: str) -> str:
    return f"review/{item_id}"

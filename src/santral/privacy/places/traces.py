"""Traces, payloads and scores in the telemetry store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from functools import partial
from typing import Any

import msgspec

from santral.privacy.place import Found
from santral.privacy.subject import Mentions, Subject
from santral.tenants.tenant import TenantId
from santral.traces.record import Payload
from santral.traces.removal import store as removal
from santral.traces.removal.store import PayloadRow
from santral.traces.rows import TABLES
from santral.traces.scores import store as scores
from santral.traces.scores.score import ScoreRecord
from santral.traces.scores.sealed import opened_score, sealed_score
from santral.traces.sealed import open_payload, opened, seal_payload
from santral.traces.store import TraceStore

#: Rows that are read at once. Chosen: some megabytes of payloads.
_BATCH = 200


class Traces:
    """A person's own traces go whole; others lose the mention alone."""

    name = "traces"
    about = (
        "Traces, spans, attempts, verdicts, sources, payloads, and scores with their comments. The "
        "person's own are deleted, with every score on them; in other people's payloads, tags and "
        "comments a text that was asked for becomes [erased]. The file is then written anew."
    )
    tables = frozenset({*(f"telemetry.{table}" for table in TABLES), "telemetry.scores"})

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count rows by table, and payloads and tags of others that mention the person."""
        numbers = await self._own(tenant_id, subject)
        own = await self._store.ask(lambda conn: removal.count_rows(conn, tenant_id, numbers))
        mentions = 0
        async for _ in self._mentioning(tenant_id, subject, numbers):
            mentions += 1
        mentions += len(await self._tagged(tenant_id, subject, numbers))
        given = await self._scores(tenant_id, subject, numbers)
        own["scores"] = len(given)
        async for _ in self._commenting(tenant_id, subject, {score.id for score in given}):
            mentions += 1
        return Found(own={table: count for table, count in own.items() if count}, mentions=mentions)

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the person's own traces with their payloads, the oldest first."""
        numbers = sorted(await self._own(tenant_id, subject))
        for at in range(0, len(numbers), _BATCH):
            some = numbers[at : at + _BATCH]
            for record in await self._store.ask(
                partial(removal.records, tenant_id=tenant_id, numbers=some)
            ):
                yield msgspec.to_builtins(await opened(record, self._store.sealer))
        for score in await self._scores(tenant_id, subject, set(numbers)):
            yield {"score": msgspec.structs.asdict(await opened_score(score, self._store.sealer))}

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Take mentions out, delete what is the person's own, and write the file anew."""
        numbers = await self._own(tenant_id, subject)
        async for row, payload in self._mentioning(tenant_id, subject, numbers):
            await self._store.change(
                partial(
                    removal.replace_payload,
                    tenant_id=tenant_id,
                    n=row.n,
                    request=payload.request,
                    response=payload.response,
                )
            )
        for n, tags in await self._tagged(tenant_id, subject, numbers):
            await self._store.change(
                partial(removal.replace_tags, tenant_id=tenant_id, n=n, tags=tags)
            )
        ids = [score.id for score in await self._scores(tenant_id, subject, numbers)]
        async for score, comment in self._commenting(tenant_id, subject, set(ids)):
            await self._store.change(
                partial(
                    scores.replace_comment,
                    tenant_id=tenant_id,
                    score_id=score.id,
                    comment=comment,
                )
            )
        await self._store.change(lambda conn: scores.delete_scores(conn, tenant_id, ids))
        await self._store.change(lambda conn: removal.delete_rows(conn, tenant_id, numbers))
        await self._store.compact()

    async def _own(self, tenant_id: TenantId, subject: Subject) -> set[int]:
        rows = await self._store.ask(
            lambda conn: removal.own_rows(conn, tenant_id, subject.user, subject.sessions)
        )
        return {row.n for row in rows}

    async def _scores(
        self, tenant_id: TenantId, subject: Subject, own: Collection[int]
    ) -> list[ScoreRecord]:
        return await self._store.ask(
            lambda conn: scores.own_scores(conn, tenant_id, subject.user, subject.sessions, own)
        )

    async def _commenting(
        self, tenant_id: TenantId, subject: Subject, own: set[str]
    ) -> AsyncIterator[tuple[ScoreRecord, str]]:
        """Yield scores of others whose comment mentions the person, and the comment without that."""
        mentions, sealer, after = Mentions(subject.texts), self._store.sealer, ""
        while mentions:
            found = await self._store.ask(
                partial(scores.commented, tenant_id=tenant_id, after=after, limit=_BATCH)
            )
            if not found:
                return
            after = found[-1].id
            for score in found:
                said = (await opened_score(score, sealer)).comment
                changed = mentions.without(said)
                if score.id not in own and changed != said:
                    fresh = msgspec.structs.replace(score, comment=changed, is_sealed=False)
                    closed = await sealed_score(fresh, sealer if score.is_sealed else None)
                    yield score, closed.comment

    async def _mentioning(
        self, tenant_id: TenantId, subject: Subject, own: set[int]
    ) -> AsyncIterator[tuple[PayloadRow, Payload]]:
        """Yield payloads of others that mention the person, and what they are without that."""
        mentions = Mentions(subject.texts)
        after = 0
        while mentions:
            rows = await self._store.ask(
                partial(
                    removal.candidates,
                    tenant_id=tenant_id,
                    texts=subject.texts,
                    after=after,
                    limit=_BATCH,
                )
            )
            if not rows:
                return
            after = rows[-1].n
            for row in rows:
                changed = None if row.n in own else await self._without(tenant_id, row, mentions)
                if changed is not None:
                    yield row, changed

    async def _without(
        self, tenant_id: TenantId, row: PayloadRow, mentions: Mentions
    ) -> Payload | None:
        """Return a payload without what mentions the person; None where nothing does."""
        owner = (tenant_id, row.trace_id, row.request_id)
        stored = Payload(request=row.request, response=row.response, is_sealed=row.is_sealed)
        sealer = self._store.sealer
        plain = await open_payload(owner, stored, sealer) if row.is_sealed else stored
        changed = Payload(
            request=mentions.without_in_json(plain.request),
            response=mentions.without_in_json(plain.response),
        )
        if (changed.request, changed.response) == (plain.request, plain.response):
            return None
        if row.is_sealed and sealer is not None:
            return await seal_payload(owner, changed, sealer)
        return changed

    async def _tagged(
        self, tenant_id: TenantId, subject: Subject, own: set[int]
    ) -> list[tuple[int, str]]:
        """Return the rows of others whose tags mention the person, and the tags without that."""
        mentions = Mentions(subject.texts)
        if not mentions:
            return []
        rows = await self._store.ask(lambda conn: removal.labelled(conn, tenant_id, subject.texts))
        return [
            (n, changed)
            for n, tags in rows
            if n not in own and (changed := mentions.without_in_json(tags)) != tags
        ]

"""The pass over new traces and scores: what rules take becomes items, once, however often it looks."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, cast

from msgspec.structs import replace

from santral.db.engine import Engine, reading, writing
from santral.review import store
from santral.review.content import kept, shown_of
from santral.review.item import Content, Item, Shown
from santral.review.looking import store as lines_store
from santral.review.looking.match import Match, match
from santral.review.looking.store import Line
from santral.review.queue import Progress, Queue
from santral.review.rule import OF_SCORES
from santral.secrets.sealer import Sealer
from santral.traces.record import TraceRecord
from santral.traces.removal import store as records_store
from santral.traces.sealed import opened

T = TypeVar("T")
#: Who makes the items of rules.
RULES = "rules"
#: Requests, scores or findings of one step, which is one transaction. Chosen.
_AT_ONCE = 500
#: How long a score may be on its way behind newer ones, in microseconds. Chosen: what a store that was
#: down for an hour collects afterwards is still seen.
_BEHIND_US = 3_600_000_000


class Traces(Protocol):
    """What of the telemetry store is asked."""

    @property
    def sealer(self) -> Sealer | None: ...

    def ask(self, question: Callable[[Any], T]) -> Awaitable[T]: ...


class Looker:
    """Looks through one installation's traces for its queues."""

    def __init__(self, engine: Engine, traces: Traces, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._traces = traces
        self._clock = clock

    async def look(self, tenant: str | None = None, name: str = "") -> int:
        """Look through what came since the last time, for one queue or all; return how many items
        were made. Killed half-way, the next look goes on, and makes nothing twice."""
        async with reading(self._engine) as conn:
            queues = await store.list_queues(conn, tenant)
        made = 0
        for queue in queues:
            if queue.settings.rules and not queue.is_paused and name in ("", queue.name):
                made += await self._look_for(queue)
        return made

    async def _look_for(self, queue: Queue) -> int:
        before = queue.progress.taken
        while True:
            queue, count = await self._new_traces(queue)
            if count < _AT_ONCE:
                break
        kinds = {rule.kind for rule in queue.settings.rules}
        if kinds & OF_SCORES:
            queue = await self._new_scores(queue)
        if "drift_exemplar" in kinds:
            queue = await self._new_findings(queue)
        return queue.progress.taken - before

    async def _new_traces(self, queue: Queue) -> tuple[Queue, int]:
        progress = queue.progress
        lines = await self._traces.ask(
            lambda conn: lines_store.new_lines(
                conn, queue.tenant_id, progress.n, progress.since_us, _AT_ONCE
            )
        )
        if not lines:
            return queue, 0
        routes = {rule.route for rule in queue.settings.rules}
        seen = len(lines) if "" in routes else sum(line.route in routes for line in lines)
        step = replace(progress, n=lines[-1].n, seen=progress.seen + seen)
        return await self._take(queue, lines, step), len(lines)

    async def _new_scores(self, queue: Queue) -> Queue:
        at, tenant = (queue.progress.scores_us - _BEHIND_US, ""), queue.tenant_id
        while True:
            scored = await self._traces.ask(
                lambda conn, at=at: lines_store.scored_after(conn, tenant, at, _AT_ONCE)
            )
            if not scored:
                return queue
            ids = list(dict.fromkeys(one.trace_id for one in scored))
            lines = await self._lines(queue, ids)
            newest = max(queue.progress.scores_us, scored[-1].at_us)
            queue = await self._take(queue, lines, replace(queue.progress, scores_us=newest))
            at = (scored[-1].at_us, scored[-1].id)

    async def _new_findings(self, queue: Queue) -> Queue:
        progress = queue.progress
        since_us = progress.findings_us or progress.since_us
        after = datetime.fromtimestamp(since_us / 1e6, UTC)
        async with reading(self._engine) as conn:
            found = await lines_store.findings_after(conn, queue.tenant_id, after, _AT_ONCE)
        if not found:
            return queue
        ids = [one for _, content in found for one in _exemplars(content)]
        lines = await self._lines(queue, ids, since_us=0)
        step = replace(progress, findings_us=int(found[-1][0].timestamp() * 1e6))
        return await self._take(queue, lines, step, is_exemplar=True)

    async def _lines(
        self, queue: Queue, ids: Sequence[str], since_us: int | None = None
    ) -> list[Line]:
        since = queue.progress.since_us if since_us is None else since_us
        return await self._traces.ask(
            lambda conn: lines_store.named_lines(conn, queue.tenant_id, ids, since)
        )

    async def _take(
        self, queue: Queue, lines: list[Line], progress: Progress, *, is_exemplar: bool = False
    ) -> Queue:
        """Make items of what rules take, and save how far that is, in one transaction."""
        matches = await self._matches(queue, lines, is_exemplar)
        made, unread = await self._items(queue, [pair for pair in matches if pair[1].is_taken])
        day = f"{self._clock():%Y-%m-%d}"
        today = progress.today if progress.day == day else 0
        cap = queue.settings.daily_cap
        taken = over = 0
        async with writing(self._engine) as conn:
            known = await store.find_by_keys(
                conn, queue.tenant_id, queue.name, [_key(line) for line, _ in matches]
            )
            for line, found in matches:
                there = known.get(_key(line))
                if there is not None:
                    rules = {**there.content.rules, **found.rules}
                    if rules != there.content.rules:
                        await store.update_item(
                            conn, queue.tenant_id, there.id,
                            content=replace(there.content, rules=rules),
                            probability=Match(rules=rules, is_taken=True).probability,
                        )  # fmt: skip
                elif (item := made.get(line.trace_id)) is not None:
                    if today + taken >= cap:
                        over += 1
                    else:
                        taken += await store.insert_item(conn, queue.tenant_id, item)
            progress = replace(
                progress,
                taken=progress.taken + taken,
                without_payload=progress.without_payload + unread,
                over_cap=progress.over_cap + over,
                day=day,
                today=today + taken,
            )
            await store.save_progress(conn, queue.tenant_id, queue.name, progress)
        return replace(queue, progress=progress)

    async def _matches(
        self, queue: Queue, lines: list[Line], is_exemplar: bool
    ) -> list[tuple[Line, Match]]:
        if not lines:
            return []
        numbers = [line.n for line in lines]
        ids = [line.trace_id for line in lines]
        found = await self._traces.ask(
            lambda conn: lines_store.found_by_checks(conn, queue.tenant_id, numbers)
        )
        scores = await self._traces.ask(
            lambda conn: lines_store.scores_in_force(conn, queue.tenant_id, ids)
        )
        matches = [
            (
                line,
                match(
                    queue.settings, line, found.get(line.n, ()), scores.get(line.trace_id, ()),
                    is_exemplar=is_exemplar,
                ),
            )
            for line in lines
        ]  # fmt: skip
        return [(line, one) for line, one in matches if one.rules]

    async def _items(
        self, queue: Queue, taken: list[tuple[Line, Match]]
    ) -> tuple[dict[str, Item], int]:
        """Return the items of traces of which something was kept, by trace, and how many were not."""
        made: dict[str, Item] = {}
        unread = 0
        for line, found in taken:
            record = await trace_record(self._traces, queue.tenant_id, line.n)
            shown = None if record is None else shown_of(record)
            if shown is None:
                unread += 1
                continue
            made[line.trace_id] = await new_item(
                self._traces.sealer, queue, line, shown, self._clock(), by=RULES,
                rules=found.rules, rule=found.rule, probability=found.probability,
            )  # fmt: skip
        return made, unread


async def trace_record(traces: Traces, tenant_id: str, n: int) -> TraceRecord | None:
    """Return a record with its payload open, by its row."""
    found = await traces.ask(lambda conn: records_store.records(conn, tenant_id, [n]))
    return await opened(found[0], traces.sealer) if found else None


async def new_item(
    sealer: Sealer | None,
    queue: Queue,
    line: Line,
    shown: Shown,
    now: datetime,
    *,
    by: str,
    rules: dict[str, float],
    rule: str,
    probability: float,
    priority: int = 0,
) -> Item:
    """Return the item of a trace, its content kept as the tenant's payloads are."""
    key = _key(line)
    item_id = item_id_of(queue, key)
    content = Content(rules=rules, shown=shown)
    return Item(
        id=item_id,
        tenant_id=queue.tenant_id,
        queue=queue.name,
        kind="trace",
        key=key,
        trace_id=line.trace_id,
        content=await kept(sealer, queue.tenant_id, item_id, content),
        subject=line.subject,
        rule=rule[:64],
        probability=probability,
        gold=None,
        held_id="",
        state="open",
        outcome=None,
        priority=priority,
        created_by=by,
        created_at=now,
    )


def item_id_of(queue: Queue, key: str) -> str:
    """Return the id of an item: the same for the same thing in the same queue."""
    text = f"{queue.tenant_id}\n{queue.name}\n{queue.settings.salt}\n{key}"
    return f"rvw_{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _key(line: Line) -> str:
    return f"trace:{line.trace_id}"


def _exemplars(found: dict[str, Any]) -> list[str]:
    """Return the ids of traces that a monitor's finding names. Source: santral/evals/drift/look.py."""
    signals = found.get("signals")
    if not isinstance(signals, list):
        return []
    named = [one.get("exemplars") for one in cast("list[dict[str, Any]]", signals)]
    return list(dict.fromkeys(trace for one in named for trace in one or ()))

"""What guardrails refused or masked becomes a row of the audit log: a sink of the collector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from santral.audit.note import Actor, Note, note_once
from santral.db.engine import Engine, writing
from santral.traces.record import TraceRecord, VerdictRecord

#: Rows of one transaction. Measured: past some hundred the cost of a row no longer falls, and others
#: wait for the log meanwhile.
BATCH_ROWS = 500

#: What a check did -> what the log calls it. Everything else a check does changes nothing.
ACTIONS: Mapping[str, str] = {
    "refuse": "guardrails.refused",
    "mask": "guardrails.masked",
    "retry": "guardrails.retried",
}


async def note_decisions(engine: Engine, records: Sequence[TraceRecord]) -> int:
    """Note every verdict of ``records`` that refused or masked, once however often it is delivered.

    Returns how many rows were added. The texts never enter the log: the trace may have them.

    Raises:
        StoreError: the database cannot be used; send all again.
    """
    notes = [note for record in records for note in decisions(record)]
    added = 0
    for start in range(0, len(notes), BATCH_ROWS):
        async with writing(engine) as conn:
            added += len(await note_once(conn, notes[start : start + BATCH_ROWS]))
    return added


def decisions(record: TraceRecord) -> Iterator[Note]:
    """Yield what the guardrails decided in one request, each with a name of its own."""
    for place, verdict in enumerate(record.verdicts):
        action = ACTIONS.get(verdict.action)
        if action is not None and verdict.verdict != "passed":
            yield Note(
                actor=Actor(f"key:{record.key_id}", "gateway"),
                action=action,
                object=f"trace:{record.trace_id}#{place}",
                tenant_id=record.tenant_id,
                after=_decided(record, verdict),
                occurred_at=_moment(record.started_at_us + record.duration_us),
            )


def _decided(record: TraceRecord, verdict: VerdictRecord) -> dict[str, str | int]:
    return {
        "check": verdict.check,
        "place": verdict.place,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "count": verdict.count,
        "route": record.route,
        "config": record.config_hash,
    }


def _moment(since_1970_us: int) -> datetime:
    return datetime.fromtimestamp(since_1970_us // 1_000_000, UTC).replace(
        microsecond=since_1970_us % 1_000_000
    )

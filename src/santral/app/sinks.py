"""Where the collector takes finished requests beside the trace store: the ledger and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from santral.app.decisions import note_decisions
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.quota.ledger.write import write_ledger
from santral.traces.collector import Sink
from santral.traces.record import TraceRecord


def sinks_of(config: Config, engine: Engine) -> list[Sink]:
    """Return the sinks; each takes a batch that is delivered again without doing its work twice."""
    sinks: list[Sink] = [partial(_bill, engine)]
    if config.audit.decisions:
        sinks.append(partial(_note, engine))
    return sinks


async def _bill(engine: Engine, records: Sequence[TraceRecord]) -> None:
    await write_ledger(engine, records)


async def _note(engine: Engine, records: Sequence[TraceRecord]) -> None:
    await note_decisions(engine, records)

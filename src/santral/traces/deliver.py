"""Handing records to a sink, so that one record it cannot take does not keep the others out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from santral.errors import StoreError
from santral.traces.record import TraceRecord
from santral.traces.rows import storable

#: Takes a batch of records; delivered again after a failure, so it must be idempotent.
Sink = Callable[[Sequence[TraceRecord]], Awaitable[None]]

#: What says that a sink is down, and nothing about the records it was given.
_DOWN = (StoreError, OSError, TimeoutError)


async def deliver(sink: Sink, records: Sequence[TraceRecord], patience_s: float) -> list[str]:
    """Give ``records`` to ``sink``; return the request ids of those it refuses while it takes others.

    Raises:
        Exception: the sink is down, took longer than ``patience_s``, or refuses whatever it is given.
    """
    try:
        await _give(sink, records, patience_s)
    except _DOWN:
        raise
    except Exception:
        # What the store rejects goes to no sink either; the rest is tried in ever smaller parts.
        fitting = storable(records)
        refused = await _in_parts(sink, fitting, patience_s)
        if fitting and len(refused) == len(fitting):
            raise
        return refused
    return []


async def _in_parts(sink: Sink, records: Sequence[TraceRecord], patience_s: float) -> list[str]:
    if not records:
        return []
    try:
        await _give(sink, records, patience_s)
    except _DOWN:
        raise
    except Exception:  # noqa: BLE001 - a sink may raise anything: the record that made it is looked for
        if len(records) == 1:
            return [records[0].request_id]
        middle = len(records) // 2
        return [
            *await _in_parts(sink, records[:middle], patience_s),
            *await _in_parts(sink, records[middle:], patience_s),
        ]
    return []


async def _give(sink: Sink, records: Sequence[TraceRecord], patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):
            await sink(records)
    except TimeoutError as error:
        raise StoreError(
            f"A sink of the collector, most likely the ledger, did not take {len(records)} records "
            f"within {patience_s:g} s. Look at the database."
        ) from error

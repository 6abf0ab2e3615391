"""How the run of a source ended, and when the next one is."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from santral.db.engine import Engine, writing
from santral.jobs import store as jobs
from santral.jobs.job import Job
from santral.retrieval.sources import store
from santral.retrieval.sources.opened import forget_folder
from santral.retrieval.sources.record import RUNNING, KeptSource

log = logging.getLogger(__name__)

#: Part of the interval by which a schedule is moved at random, so that sites are not asked together.
_JITTER = 0.1
#: Pause after a first failure and the longest one, in seconds; doubled in between. Chosen.
_FIRST_PAUSE_S, _MOST_PAUSE_S = 60, 86_400
#: Longest error that is kept of a run. Chosen.
_MAX_ERROR = 2000


async def note_end(
    engine: Engine, data_folder: Path, source_id: str, now: datetime, draw: float
) -> bool:
    """Note how the run of a source ended, where it is over; a source that was leaving is gone then.

    ``draw`` is a random number from 0 to 1. Returns whether there was an end to note.
    """
    async with writing(engine) as conn:
        source = await store.find_source(conn, source_id)
        if source is None or source.last_state != RUNNING:
            return False
        job = await jobs.find_job(conn, source.last_job)
        if job is not None and not job.is_over:
            return False
        is_done = job is not None and job.state == "done"
        is_gone = is_done and source.is_leaving
        if is_gone:
            await store.delete_source(conn, source.tenant_id, source.id)
        else:
            ended = _ended(source, job, now, draw)
            await store.update_source(conn, source.tenant_id, source.id, **ended)
    if is_gone:
        await asyncio.to_thread(forget_folder, data_folder, source_id)
    if not is_done:
        log.warning("source_failed", extra={"source": source_id, "job": source.last_job})
    return True


def _ended(source: KeptSource, job: Job | None, now: datetime, draw: float) -> dict[str, Any]:
    """Return the values of a source whose run is over."""
    is_done = job is not None and job.state == "done"
    failures = 0 if is_done else source.failures + 1
    wait_s = _wait_s(source, failures, draw)
    next_at = None if wait_s is None else now + timedelta(seconds=wait_s)
    return {
        "last_state": "failed" if job is None else job.state,
        "last_error": "its job is gone" if job is None else job.error[:_MAX_ERROR],
        "last_result": job.result if job is not None and is_done else source.last_result,
        "failures": failures,
        "next_at": source.next_at or next_at,  # somebody may have asked for another run meanwhile
    }


def _wait_s(source: KeptSource, failures: int, draw: float) -> float | None:
    """Return the time to the next run: the schedule's, or longer the more runs in a row have failed."""
    pause_s = 0.0
    if failures:
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), _MOST_PAUSE_S)
    if source.every_s:
        return max(source.every_s * (1 + _JITTER * (2 * draw - 1)), pause_s)
    is_kept_up = source.kind == "watch" or source.is_leaving
    return pause_s if failures and is_kept_up else None

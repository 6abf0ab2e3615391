"""The job of a look, and what starts it when its moment comes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from santral.audit.entry import SYSTEM
from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError
from santral.evals.drift import store
from santral.evals.drift.finding import Finding
from santral.evals.drift.keep import LookArguments, known_monitor, look_job, next_look
from santral.evals.drift.look import Look, look, state_from
from santral.evals.drift.monitor import Monitor
from santral.evals.drift.words import said
from santral.jobs.job import Hold, Job
from santral.traces.store import TraceStore

log = logging.getLogger(__name__)

#: How often monitors are looked for whose moment has come, in seconds. Chosen: their shortest pause is
#: a minute.
_EVERY_S = 10.0
_MOST_DUE = 20
#: How long findings are kept. Chosen: a year shows what a season does.
_KEEP = timedelta(days=366)


class Looking:
    """The work of ``evals.drift``."""

    def __init__(self, engine: Engine, traces: TraceStore, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._traces = traces
        self._clock = clock

    async def __call__(self, hold: Hold, arguments: LookArguments) -> Mapping[str, Any]:
        """Look, and keep what was found with the state of the next look, in one transaction.

        Raises:
            NotFound: the monitor was deleted since.
            StoreError: the telemetry or the database cannot be asked.
        """
        tenant, now = hold.job.tenant_id, self._clock()
        async with reading(self._engine) as conn:
            monitor = await known_monitor(conn, tenant, arguments.monitor)
            others = await store.list_monitors(conn, [tenant])
        await hold.report("comparing", 0, 1)
        found = await look(
            self._traces,
            tenant,
            monitor.settings,
            state_from(monitor.state),
            _family(monitor, others),
            int(now.timestamp() * 1e6),
            _rng(hold.job),
        )
        finding = await self._keep(hold.job, monitor, found, now)
        return {"finding": finding.id, "verdict": finding.verdict, "said": said(found)}

    async def _keep(self, job: Job, monitor: Monitor, found: Look, now: datetime) -> Finding:
        facts = msgspec.to_builtins(found)
        state = facts.pop("state")
        finding = Finding(
            id=f"fnd_{job.id.removeprefix('job_')}",
            tenant_id=monitor.tenant_id,
            monitor=monitor.name,
            verdict=found.verdict,
            found=facts | {"said": said(found)},
            created_at=now,
        )
        async with writing(self._engine) as conn:
            await store.insert_finding(conn, monitor.tenant_id, finding)
            await store.update_monitor(conn, monitor.tenant_id, monitor.name, {"state": state})
            await store.drop_old_findings(conn, monitor.tenant_id, monitor.name, now - _KEEP)
        return finding


async def start_due(engine: Engine, now: datetime) -> list[Job]:
    """Start the looks whose moment has come; each once, however many processes try."""
    async with reading(engine) as conn:
        due = await store.due_monitors(conn, now, _MOST_DUE)
    jobs: list[Job] = []
    for monitor in due:
        async with writing(engine) as conn:
            moment = monitor.next_at or now
            later = next_look(monitor, now)
            if await store.claim(conn, monitor.tenant_id, monitor.name, moment, later):
                jobs.append(await look_job(conn, monitor, now, actor=SYSTEM))
    return jobs


async def run_schedule(
    engine: Engine,
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Start looks when their moment comes, until cancelled."""
    while True:
        try:
            await start_due(engine, clock())
        except SantralError as error:  # the database is away: its rows wait
            log.warning("monitors_not_looked_at", extra={"reason": error.message})
        await sleep(_EVERY_S)


def _family(monitor: Monitor, others: list[Monitor]) -> list[float]:
    return [
        p
        for other in others
        if other.name != monitor.name and not other.is_paused
        for p in state_from(other.state).p.values()
    ]


def _rng(job: Job) -> np.random.Generator:
    """The same draws when a look is tried again."""
    seed = hashlib.blake2b(job.id.encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(seed, "big"))

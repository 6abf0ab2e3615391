"""Looks at every running experiment that may change by itself: a loop of the control process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import numpy as np

from santral.audit.note import SYSTEM
from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.errors import SantralError
from santral.experiments import store
from santral.experiments.change import apply_act
from santral.experiments.look import decide
from santral.experiments.made import StoredExperiment
from santral.experiments.status import read_analysis
from santral.traces.store import TraceStore

log = logging.getLogger(__name__)

#: How often guards are looked at, in seconds. Chosen: harm is seen once enough units have met it; a
#: look at 100 000 requests takes less than a second (docs/decisions/0039-live-experiments.md).
LOOK_EVERY_S = 10.0


class Watch:
    """Stops what does harm, widens what may be widened, and moves the weights of bandits."""

    def __init__(
        self,
        engine: Engine,
        traces: TraceStore,
        config: Config,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: np.random.Generator | None = None,
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._engine = engine
        self._traces = traces
        self._config = config
        self._clock = clock
        self._rng = rng or np.random.default_rng()
        self._count = count

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look every ``LOOK_EVERY_S`` seconds until cancelled."""
        while True:
            await sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except SantralError as error:
                log.warning("experiments_not_watched", extra={"reason": error.message})

    async def look(self) -> list[str]:
        """Look at every experiment once; return what was done, by name."""
        async with reading(self._engine) as conn:
            kept = await store.list_experiments(conn, None)
        done: list[str] = []
        for stored in kept:
            if stored.state == "running" and _may_change(stored):
                kind = await self._look_at(stored)
                done += [f"{stored.name} {kind}"] if kind else []
        return done

    async def _look_at(self, stored: StoredExperiment) -> str:
        now = self._clock()
        try:
            found, _ = await read_analysis(self._traces, stored, self._config, now)
            act = decide(stored, found, now.timestamp(), self._rng)
            if act is None:
                return ""
            made = await apply_act(
                self._engine, stored, act.kind, act.now, act.evidence, SYSTEM, now
            )
        except SantralError as error:  # one that cannot be read keeps the others from nothing
            self._count("failed")
            log.warning(
                "experiment_not_watched",
                extra={"experiment": stored.name, "reason": error.message},
            )
            return ""
        if made is None:
            return ""
        self._count(act.kind)
        told = {"experiment": stored.name, "kind": act.kind, "evidence": act.evidence}
        log.warning("experiment_changed", extra=told)
        return act.kind


def _may_change(stored: StoredExperiment) -> bool:
    asked = stored.config
    return bool(asked.guards or asked.ramp or asked.bandit)

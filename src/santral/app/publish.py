"""Writes the access file of this machine's workers whenever the control database changed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from santral.app.access import AccessRecord, write_access
from santral.app.acts import Acts
from santral.app.noted import write_acts
from santral.app.sealing import publish_sealed
from santral.db.engine import Engine, connect, reading
from santral.db.store import read_revision
from santral.errors import StoreError
from santral.quota.rule import Rule
from santral.quota.store import all_rules, used_since
from santral.quota.used import DaySums, used_under
from santral.tenants.store import list_tenants, load_keys, load_tree

log = logging.getLogger(__name__)

#: How often the revision is looked at, in seconds. Specified: a change reaches every worker within
#: 2 s (DESIGN: processes and ports); this and the worker's own look add up to less.
LOOK_EVERY_S = 0.5
#: How often the file is written although nothing changed, so that a worker which restarts knows
#: what the day's budgets have used. Chosen.
REWRITE_EVERY_S = 15.0
#: While the database is away that is logged this often, in seconds. Chosen.
LOG_EVERY_S = 60.0


async def read_access(
    engine: Engine, defaults: Sequence[Rule], now: float, days: DaySums | None = None
) -> AccessRecord:
    """Read keys, limits and what the ledger says was used under them, at one moment.

    ``defaults`` are the configuration's rules, ``now`` is in seconds since 1970, ``days`` remembers
    what was summed before.
    """
    days = days or DaySums()
    async with reading(engine) as conn:
        tree = await load_tree(conn)
        rules = await all_rules(conn)
        sums = partial(days.since, partial(used_since, conn), now)
        return AccessRecord(
            revision=await read_revision(conn),
            read_at=now,
            tenants=await list_tenants(conn),
            parents=tree.parents(),
            keys=await load_keys(conn),
            rules=rules,
            used=await used_under([*rules, *defaults], tree, sums, now),
        )


class Publisher:
    """Keeps the access file current from a thread of its own, until it is stopped."""

    def __init__(
        self,
        url: str,
        path: Path,
        defaults: Sequence[Rule],
        clock: Callable[[], float],
        wall: Callable[[], float],
        sealed_path: Path,
        acts: Acts,
    ) -> None:
        self._url = url
        self._path = path
        self._defaults = defaults
        self._clock = clock
        self._wall = wall
        self._days = DaySums()
        self._sealed_path = sealed_path
        self._acts = acts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        engine = connect(self._url)
        revision, written_at = -1, self._clock()
        failing_since: float | None = None
        try:
            while not self._stop.is_set():
                try:
                    async with reading(engine) as conn:
                        seen = await read_revision(conn)
                    if seen != revision or self._clock() > written_at + REWRITE_EVERY_S:
                        record = await read_access(engine, self._defaults, self._wall(), self._days)
                        await publish_sealed(engine, self._sealed_path)
                        write_access(self._path, record)
                        revision, written_at = record.revision, self._clock()
                    await write_acts(engine, self._acts)
                    failing_since = None
                except (StoreError, OSError) as error:
                    if failing_since is None or self._clock() > failing_since + LOG_EVERY_S:
                        failing_since = self._clock()
                        log.warning("access_not_published", extra={"reason": str(error)})
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await engine.dispose()

"""Writes the access file of this machine's workers whenever the control database changed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from santral.app.access import AccessRecord, write_access
from santral.app.acts import Acts
from santral.app.catalogue import CataloguePublisher
from santral.app.experimenting import publish_experiments
from santral.app.experiments_file import EXPERIMENTS_FILE
from santral.app.noted import write_acts
from santral.app.prompts import publish_prompts
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
    """Read keys, limits and what the ledger says was used under them.

    ``defaults`` are the configuration's rules, ``now`` is in seconds since 1970, ``days`` remembers
    what was summed before.
    """
    record = await read_keys(engine)
    return await with_used(engine, record, defaults, now, days or DaySums())


async def read_keys(engine: Engine) -> AccessRecord:
    """Read keys and limits at one moment; nothing is said of what was used."""
    async with reading(engine) as conn:
        return AccessRecord(
            revision=await read_revision(conn),
            read_at=0.0,
            tenants=await list_tenants(conn),
            parents=(await load_tree(conn)).parents(),
            keys=await load_keys(conn),
            rules=await all_rules(conn),
        )


async def with_used(
    engine: Engine, record: AccessRecord, defaults: Sequence[Rule], now: float, days: DaySums
) -> AccessRecord:
    """Return ``record`` with what the ledger says was used under its rules; slow over many rows."""
    async with reading(engine) as conn:
        tree = await load_tree(conn)
        sums = partial(days.since, partial(used_since, conn), now)
        used = await used_under([*record.rules, *defaults], tree, sums, now)
    return replace(record, read_at=now, used=used)


class Publisher:
    """Keeps the access file current from a thread of its own, until it is stopped."""

    def __init__(
        self,
        url: str,
        path: Path,
        first: AccessRecord,
        defaults: Sequence[Rule],
        clock: Callable[[], float],
        wall: Callable[[], float],
        sealed_path: Path,
        acts: Acts,
        catalogue: CataloguePublisher,
        prompts_path: Path,
    ) -> None:
        self._catalogue = catalogue
        self._prompts_path = prompts_path
        self._url = url
        self._path = path
        self._defaults = defaults
        self._clock = clock
        self._wall = wall
        self._days = DaySums()
        self._record = first  # as the file has it
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
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(partial(self._publish_keys, engine), LOOK_EVERY_S))
                group.create_task(self._repeat(partial(self._sum, engine), REWRITE_EVERY_S))
        finally:
            await engine.dispose()

    async def _repeat(self, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Work again and again until stopped; a database that is away is logged now and then."""
        failing_since: float | None = None
        while not self._stop.is_set():
            try:
                await work()
                failing_since = None
            except (StoreError, OSError) as error:
                if failing_since is None or self._clock() > failing_since + LOG_EVERY_S:
                    failing_since = self._clock()
                    log.warning("access_not_published", extra={"reason": str(error)})
            due = self._clock() + every_s
            while self._clock() < due and not self._stop.is_set():  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(LOOK_EVERY_S)

    async def _publish_keys(self, engine: Engine) -> None:
        """Write the file when anything changed that decides about access: within a second."""
        async with reading(engine) as conn:
            seen = await read_revision(conn)
        if seen != self._record.revision:
            record, before = await read_keys(engine), self._record
            await publish_sealed(engine, self._sealed_path)
            await publish_prompts(engine, self._prompts_path)
            await publish_experiments(engine, self._path.with_name(EXPERIMENTS_FILE))
            await self._catalogue.publish(engine)
            # Sums over many rows are slow, and a revocation does not wait for them.
            self._write(replace(record, read_at=before.read_at, used=before.used))
        await write_acts(engine, self._acts)

    async def _sum(self, engine: Engine) -> None:
        """Write the file with what was used since, so that no limiter begins with nothing."""
        used = await with_used(
            engine, await read_keys(engine), self._defaults, self._wall(), self._days
        )
        self._write(replace(self._record, read_at=used.read_at, used=used.used))

    def _write(self, record: AccessRecord) -> None:
        write_access(self._path, record)
        self._record = record

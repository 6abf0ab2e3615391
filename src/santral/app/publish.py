"""Writes the access file of this machine's workers whenever the control database changed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from santral.app.access import AccessRecord, LimitRow, UsedRow, write_access
from santral.db.engine import Engine, connect, reading
from santral.db.store import read_revision
from santral.errors import StoreError
from santral.quota.store import limits_of, tokens_today
from santral.tenants.store import list_tenants, load_keys

log = logging.getLogger(__name__)

#: How often the revision is looked at, in seconds. Specified: a change reaches every worker within
#: 2 s (DESIGN: processes and ports); this and the worker's own look add up to less.
LOOK_EVERY_S = 0.5
#: How often the file is written although nothing changed, so that a worker which restarts knows
#: what the day's budgets have used. Chosen.
REWRITE_EVERY_S = 15.0
#: While the database is away that is logged this often, in seconds. Chosen.
LOG_EVERY_S = 60.0


async def read_access(engine: Engine) -> AccessRecord:
    """Read keys, limits and today's usage at one moment."""
    today = datetime.now(UTC).date()
    async with reading(engine) as conn:
        own = await limits_of(conn)
        used = await tokens_today(conn, today)
        return AccessRecord(
            revision=await read_revision(conn),
            day=today.isoformat(),
            tenants=await list_tenants(conn),
            keys=await load_keys(conn),
            limits=[
                LimitRow(s.kind, s.id, v.requests_per_second, v.burst, v.tokens_per_day)
                for s, v in own.items()
            ],
            used=[UsedRow(scope.kind, scope.id, tokens) for scope, tokens in used.items()],
        )


class Publisher:
    """Keeps the access file current from a thread of its own, until it is stopped."""

    def __init__(self, url: str, path: Path, clock: Callable[[], float]) -> None:
        self._url = url
        self._path = path
        self._clock = clock
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
                        record = await read_access(engine)
                        write_access(self._path, record)
                        revision, written_at = record.revision, self._clock()
                    failing_since = None
                except (StoreError, OSError) as error:
                    if failing_since is None or self._clock() > failing_since + LOG_EVERY_S:
                        failing_since = self._clock()
                        log.warning("access_not_published", extra={"reason": str(error)})
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await engine.dispose()

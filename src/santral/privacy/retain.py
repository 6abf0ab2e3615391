"""Retention: once a day, what is over its tenant's time goes for good."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from santral.config.schema import Config
from santral.db.engine import Engine, reading, writing
from santral.errors import StoreError
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.held.cabinet import DECIDED, HELD, WRITTEN
from santral.jobs.job import Hold
from santral.jobs.store import delete_ended
from santral.privacy.places.exports import exports_folder
from santral.privacy.places.spool import overwrite
from santral.tenants.inherit import inherited
from santral.tenants.store import list_tenants
from santral.tenants.tenant import TenantId
from santral.traces.frame import began_us
from santral.traces.removal import store as removal
from santral.traces.store import TraceStore

#: What the job is called in the table of jobs.
RETAIN = "privacy.retain"
#: How long an export waits to be fetched, and the row of a retention job is kept, in days. Chosen.
EXPORT_DAYS, JOB_DAYS = 7, 90
_DAY_US = 86_400_000_000


class RetainArguments(Struct, frozen=True, kw_only=True):
    """Nothing: it is about every tenant."""


class Retention:
    """The work of ``privacy.retain``."""

    def __init__(
        self, engine: Engine, store: TraceStore, config: Config, clock: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._store = store
        self._config = config
        self._clock = clock

    async def __call__(self, hold: Hold, arguments: RetainArguments) -> Mapping[str, Any]:
        """Remove what is over its time; return how much of what.

        Raises:
            StoreError: a store cannot be used; tried again later.
        """
        now = self._clock()
        own = await self._days()
        gone: dict[str, int] = {}
        tenants = await self._tenants(own)
        for number, tenant in enumerate(tenants, 1):
            await hold.report(f"looking at {tenant}", number, len(tenants))
            days = own.get(tenant) or self._config.telemetry.retention_days
            if days is not None:
                _add(gone, await self._of_tenant(tenant, now - timedelta(days=days)))
        _add(gone, {"exports": await asyncio.to_thread(self._old_exports, now)})
        async with writing(self._engine) as conn:
            old = now - timedelta(days=JOB_DAYS)
            _add(gone, {"jobs": await delete_ended(conn, [RETAIN], old)})
        # Also after a kill between deleting and this: what an earlier try deleted is still in the file.
        if gone.get("traces") or gone.get("scores") or hold.job.tries > 1:
            await hold.report("writing the store anew")
            await self._store.compact()
        return {"removed": gone}

    async def _days(self) -> dict[TenantId, int | None]:
        async with reading(self._engine) as conn:
            return {t.id: t.retention_days for t in inherited(await list_tenants(conn))}

    async def _tenants(self, known: Mapping[TenantId, int | None]) -> list[TenantId]:
        """Return every tenant that has something, also those that are deleted."""
        stored = await self._store.ask(removal.tenants)
        folders = [p.name for p in self._objects.glob("*") if p.is_dir()]
        return sorted({TenantId(name) for name in (*known, *stored, *folders)})

    async def _of_tenant(self, tenant: TenantId, before: datetime) -> dict[str, int]:
        before_us = int(before.timestamp() * 1e6)
        rows = await self._store.change(lambda conn: removal.delete_before(conn, tenant, before_us))
        progress = await self._store.progress()
        blanked = await asyncio.to_thread(
            overwrite,
            self._config.data.folder / "spool",
            progress,
            lambda record: record.tenant_id == tenant and began_us(record) < before_us,
        )
        objects = await asyncio.to_thread(self._old_objects, tenant, before.timestamp())
        return {**rows, "spooled": blanked, **objects}

    @property
    def _objects(self) -> Path:
        return self._config.data.folder / "objects"

    def _old_objects(self, tenant: TenantId, before_s: float) -> dict[str, int]:
        folder = self._objects / tenant
        held = [_remove_old(folder / kind, before_s) for kind in (HELD, DECIDED, WRITTEN)]
        return {
            "responses": _remove_old(folder / "responses", before_s),
            "held": sum(held),
            "files": Cabinet(self._objects).sweep_tenant(tenant, before_s),
        }

    def _old_exports(self, now: datetime) -> int:
        before = (now - timedelta(days=EXPORT_DAYS)).timestamp()
        old = [
            path
            for path in exports_folder(self._config.data.folder).glob("*")
            if path.stat().st_mtime < before
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)


def _remove_old(folder: Path, before_s: float) -> int:
    """Remove the files that were written before a moment; return how many.

    Raises:
        StoreError: one cannot be removed.
    """
    count = 0
    for path in folder.glob("*"):
        try:
            if path.stat().st_mtime < before_s:
                path.unlink()
                count += 1
        except FileNotFoundError:  # a worker's own sweep was quicker
            continue
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}.") from None
    return count


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        if count:
            sums[name] = sums.get(name, 0) + count

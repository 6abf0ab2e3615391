"""Answers that are kept to be given again: in every worker's memory, and in Redis.

Nobody knows whose an answer is: its key is a hash without the user. So every answer goes, everybody's.
Workers on all machines follow the tenant's moment in the access file, within two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from santral.cache.notes import notes_folder, read_notes
from santral.cache.redis_tier import RedisTier
from santral.cache.tier import TierDown
from santral.db.engine import Engine, writing
from santral.errors import StoreError
from santral.privacy.place import Found
from santral.privacy.subject import Subject
from santral.tenants.store import update_tenant
from santral.tenants.tenant import TenantId

#: How long workers may take to follow, in seconds. Specified: two; and one for what was under way.
FOLLOWED_WITHIN_S = 3.0


class CachedAnswers:
    """Both tiers of the exact cache, and the semantic one."""

    name = "caches"
    about = (
        "Cached answers and questions, exact and semantic. Nobody knows whose they are, so every "
        "worker forgets all of them within two seconds, and those in Redis are deleted."
    )
    tables = frozenset({"database.tenants"})  # whose moment tells workers to forget

    def __init__(
        self,
        engine: Engine,
        data_folder: Path,
        redis: RedisTier | None,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._data_folder = data_folder
        self._redis = redis
        self._clock = clock
        self._sleep = sleep

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count everybody's answers: in Redis now, in memory as workers last wrote down."""
        notes = await asyncio.to_thread(lambda: list(read_notes(notes_folder(self._data_folder))))
        own = {
            "answers in memory, everybody's": sum(
                note.counters.get("memory_entries", 0) + note.counters.get("semantic_entries", 0)
                for note in notes
            ),
            "answers in Redis, everybody's": await self._count(),
        }
        return Found(own={kind: count for kind, count in own.items() if count})

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield nothing: an answer in a cache is nobody's."""
        return
        yield

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Have every worker forget, wait until they have, then delete what is in Redis.

        Raises:
            StoreError: Redis does not answer; it is tried again later.
        """
        async with writing(self._engine) as conn:
            await update_tenant(conn, tenant_id, {"caches_forgotten_at": self._clock()})
        await self._sleep(FOLLOWED_WITHIN_S)
        if self._redis is not None:
            try:
                await self._redis.forget_all()
            except TierDown as error:
                raise _unreachable(error) from None

    async def _count(self) -> int:
        if self._redis is None:
            return 0
        try:
            return await self._redis.count()
        except TierDown as error:
            raise _unreachable(error) from None


def _unreachable(error: TierDown) -> StoreError:
    return StoreError(f"The answers in Redis cannot be deleted: {error}. Check cache.url.")

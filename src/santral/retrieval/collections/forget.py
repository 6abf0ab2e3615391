"""Forgetting: what is left of collections whose tenant was deleted, gone once a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from santral.db.engine import Engine, reading, writing
from santral.jobs.job import Hold
from santral.retrieval.collections import store
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import DropIndex

#: What the job is called in the table of jobs.
FORGET = "retrieval.forget"


class ForgetArguments(Struct, frozen=True):
    """Nothing has to be said."""


class Forgetting:
    """The work of ``retrieval.forget``."""

    def __init__(self, engine: Engine, drop: DropIndex) -> None:
        self._engine = engine
        self._drop = drop

    async def __call__(self, hold: Hold, arguments: ForgetArguments) -> Mapping[str, Any]:
        """Delete the collections of deleted tenants: indexes first, so that a kill loses none of them.

        Raises:
            StoreError: an index cannot be written or reached; tried again later.
        """
        async with reading(self._engine) as conn:
            left = await store.collections_of_deleted(conn)
        for number, (tenant_id, name) in enumerate(left):
            await hold.report("forgetting collections", number, len(left))
            async with reading(self._engine) as conn:
                versions = await store.list_versions(conn, tenant_id, name)
            for version in versions:
                await self._drop(Partition(tenant_id, name, version.version), version.recipe.engine)
            async with writing(self._engine) as conn:
                await store.delete_collection(conn, tenant_id, name)
        return {"collections": len(left)}

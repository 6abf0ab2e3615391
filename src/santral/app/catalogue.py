"""Which collections there are: a file that the parent process writes and its workers read.

As the access file does it for keys (docs/decisions/0009-access-file.md): workers never ask the
database, and go on with the last file while it is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from santral.app.run_file import replace_file
from santral.db.engine import Engine, reading
from santral.errors import StoreError
from santral.retrieval.collections import store
from santral.retrieval.embedding.fitted.keep import fetch_fit
from santral.retrieval.embedding.fitted.model import NAME as FITTED
from santral.retrieval.library import ReadCatalogue, Searchable

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode


async def read_collections(engine: Engine) -> list[Searchable]:
    """Return every tenant's collections that can be searched, with the version that is."""
    async with reading(engine) as conn:
        return [Searchable(*row) for row in await store.active_versions(conn)]


class CataloguePublisher:
    """Writes the file, and before it what workers need to search what it names."""

    def __init__(self, path: Path, data_folder: Path) -> None:
        self._path = path
        self._data_folder = data_folder
        self._fetched: set[str] = set()  # fits whose files were seen to be whole

    async def publish(self, engine: Engine) -> None:
        """Replace the file where what the database holds is another.

        A collection whose fitted model cannot be had is left out, with a warning: the rest goes on.

        Raises:
            StoreError: the database does not answer.
            OSError: the file cannot be written.
        """
        found = await read_collections(engine)
        ready = [one for one in found if await self._is_ready(engine, one)]
        await asyncio.to_thread(replace_file, self._path, _encode(ready))

    async def _is_ready(self, engine: Engine, searchable: Searchable) -> bool:
        model, row = searchable.version.model, searchable.collection
        if model is None or model.name != FITTED or model.digest in self._fetched:
            return True
        try:
            await fetch_fit(engine, self._data_folder, row.tenant_id, model.digest)
        except StoreError as error:
            log.warning(
                "collection_not_published",
                extra={"tenant": row.tenant_id, "collection": row.name, "reason": error.message},
            )
            return False
        self._fetched.add(model.digest)
        return True


def from_database(engine: Engine) -> ReadCatalogue:
    """Return the side of the control process and of commands: what the database says."""

    async def read() -> Sequence[Searchable]:
        return await read_collections(engine)

    return read

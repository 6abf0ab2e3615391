"""Which collections there are: a file that the parent process writes and its workers read.

As the access file does it for keys (docs/decisions/0009-access-file.md): workers never ask the
database, and go on with the last file while it is away.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.errors import StoreError
from santral.retrieval.collections import store
from santral.retrieval.library import ReadCatalogue, Searchable

CATALOGUE_FILE = "collections.msgpack"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Searchable]).decode


def catalogue_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / CATALOGUE_FILE


async def read_collections(engine: Engine) -> list[Searchable]:
    """Return every tenant's collections that can be searched, with the version that is."""
    async with reading(engine) as conn:
        return [Searchable(*row) for row in await store.active_versions(conn)]


async def publish_catalogue(engine: Engine, path: Path) -> None:
    """Replace the file where what the database holds is another.

    Raises:
        StoreError: the database does not answer.
        OSError: the file cannot be written.
    """
    await asyncio.to_thread(_write, path, _encode(await read_collections(engine)))


def from_file(path: Path) -> ReadCatalogue:
    """Return the worker's side: what the file says, whenever it was replaced."""
    stamp = (0, 0)

    def look() -> list[Searchable] | None:
        nonlocal stamp
        try:
            status = path.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen == stamp:
                return None
            found = _decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{path} cannot be read: {error}. Restart santral.") from None
        stamp = seen
        return found

    async def read() -> Sequence[Searchable] | None:
        return await asyncio.to_thread(look)

    return read


def from_database(engine: Engine) -> ReadCatalogue:
    """Return the side of the control process and of commands: what the database says."""

    async def read() -> Sequence[Searchable]:
        return await read_collections(engine)

    return read


def _write(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(f".{os.getpid()}")
    making.write_bytes(content)
    making.replace(path)

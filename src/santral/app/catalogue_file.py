"""The file that names the collections: where it is, and how a worker reads it, without the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from santral.config.schema import Config
from santral.errors import StoreError
from santral.retrieval.library import ReadCatalogue, Searchable

CATALOGUE_FILE = "collections.msgpack"

_decode = msgspec.msgpack.Decoder(list[Searchable]).decode


def catalogue_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / CATALOGUE_FILE


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

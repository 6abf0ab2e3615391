"""The file that names the collections: where it is, and how a worker reads it, without the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from santral.app.run_file import RunFileReader
from santral.config.schema import Config
from santral.retrieval.library import ReadCatalogue, Searchable

CATALOGUE_FILE = "collections.msgpack"

_decode = msgspec.msgpack.Decoder(list[Searchable]).decode


def catalogue_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / CATALOGUE_FILE


def from_file(path: Path) -> ReadCatalogue:
    """Return the worker's side: what the file says, whenever it was replaced."""
    file = RunFileReader(path, _decode)

    async def read() -> Sequence[Searchable] | None:
        return await asyncio.to_thread(file.read)

    return read

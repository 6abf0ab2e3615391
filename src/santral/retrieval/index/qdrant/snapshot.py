"""Snapshots: the published points of a partition in files, as Qdrant returns them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from santral.retrieval.index.entry import Partition
from santral.retrieval.index.qdrant.connection import Connection, Json, Point
from santral.retrieval.index.qdrant.pointer import Pointer
from santral.retrieval.index.qdrant.points import FORMAT
from santral.retrieval.index.qdrant.where import alive, every
from santral.retrieval.index.snapshot import begin_snapshot, check_snapshot, seal_snapshot

_KIND = "qdrant"
_PAGE = 500


async def save(
    connection: Connection, partition: Partition, pointer: Pointer, name: str, folder: Path
) -> None:
    """Copy the published points into an empty folder."""
    await asyncio.to_thread(begin_snapshot, folder)
    number, offset = 0, None
    while pointer.revision:
        body: dict[str, Any] = {
            "filter": every(*alive(pointer.revision)),
            "limit": _PAGE,
            "with_payload": True,
            "with_vector": True,
        }
        if offset is not None:
            body["offset"] = offset
        points, offset = await connection.scroll(name, body, is_writing=True)
        number += 1
        await asyncio.to_thread(_write, folder / f"points-{number:06}", points)
        if offset is None:
            break
    await asyncio.to_thread(seal_snapshot, folder, _KIND, FORMAT, partition, pointer)


def read(partition: Partition, folder: Path) -> Pointer:
    """Return the pointer that was in force, after checking every byte of the snapshot.

    Raises:
        StoreError: it is damaged, of another format, or of another partition.
    """
    about = check_snapshot(folder, _KIND, FORMAT, partition)
    return msgspec.json.decode(about.held, type=Pointer)


async def load(folder: Path, revision: int) -> AsyncIterator[list[Json]]:
    """Yield the points of a snapshot, as if ``revision`` had brought them."""
    for path in sorted(await asyncio.to_thread(lambda: list(folder.glob("points-*")))):
        points = msgspec.msgpack.decode(await asyncio.to_thread(path.read_bytes), type=list[Point])
        yield [_reborn(point, revision) for point in points]


def _write(path: Path, points: list[Point]) -> None:
    path.write_bytes(msgspec.msgpack.encode(points))


def _reborn(point: Point, revision: int) -> Json:
    payload = {name: value for name, value in (point.payload or {}).items() if name != "died"}
    return {
        "id": point.id,
        "vector": point.vector or {},
        "payload": {**payload, "born": revision},
    }

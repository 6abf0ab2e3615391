"""Snapshots: the tables of a partition as files of PostgreSQL's own copy format, with their digests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path

import msgspec
from msgspec import Struct

from santral.errors import StoreError
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.pgvector.driver import Connection
from santral.retrieval.index.pgvector.store import FORMAT, Found, Tables

_ABOUT = "snapshot.json"
_KIND = "pgvector"


class _About(Struct, frozen=True):
    """What a snapshot is of; ``files`` holds the SHA-256 of each."""

    kind: str
    format: int
    partition: Partition
    found: Found | None
    files: Mapping[str, str]


async def save(
    conn: Connection,
    partition: Partition,
    found: Found | None,
    tables: Tables | None,
    folder: Path,
) -> None:
    """Copy the tables into an empty folder; what makes it a snapshot is written last."""
    await asyncio.to_thread(_require_empty, folder)
    if found is not None and tables is not None:
        for name, table in _tables(tables, found).items():
            await conn.copy_from_table(table, output=folder / name, format="binary")
    await asyncio.to_thread(_seal, folder, partition, found)


def read(partition: Partition, folder: Path) -> Found:
    """Return what a snapshot holds, after checking every byte of it.

    Raises:
        StoreError: it is damaged, of another format, or of another partition.
    """
    try:
        about = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=_About)
        digests = {name: _digest(folder / name) for name in about.files}
    except (OSError, msgspec.MsgspecError) as error:
        raise _unusable(folder, f"it cannot be read ({type(error).__name__})") from None
    if (about.kind, about.format) != (_KIND, FORMAT):
        raise _unusable(folder, f"it is of {about.kind}, format {about.format}")
    if about.partition != partition:
        of = f"{about.partition.tenant_id}/{about.partition.collection}"
        raise _unusable(folder, f"it is of {of}, version {about.partition.version}")
    if digests != about.files:
        raise _unusable(folder, "a file in it was changed or is damaged")
    if about.found is None:
        raise _unusable(folder, "nothing was published when it was taken")
    return about.found


async def load(conn: Connection, tables: Tables, found: Found, folder: Path) -> None:
    """Copy the files of a snapshot into tables that are empty."""
    for name, table in _tables(tables, found).items():
        await conn.copy_to_table(table, source=folder / name, format="binary")


def _require_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise StoreError(
            f"The folder {folder} is not empty: a snapshot needs one of its own.",
            code="snapshot_unusable",
        )


def _seal(folder: Path, partition: Partition, found: Found | None) -> None:
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    about = _About(_KIND, FORMAT, partition, found, files)
    (folder / _ABOUT).write_bytes(msgspec.json.encode(about))


def _tables(tables: Tables, found: Found) -> dict[str, str]:
    own = {
        "documents": tables.documents,
        "chunks": tables.chunks,
        "postings": tables.postings,
        "segments": f"{tables.postings}_segments",
    }
    return {**own, "vectors": tables.vectors} if found.dimensions else own


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _unusable(folder: Path, why: str) -> StoreError:
    return StoreError(
        f"The snapshot {folder} cannot be restored: {why}. Take another one, or run santral ingest "
        "to rebuild the index.",
        code="snapshot_unusable",
    )

"""Snapshots: the tables of a partition as files of PostgreSQL's own copy format."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from santral.retrieval.index.entry import Partition
from santral.retrieval.index.pgvector.driver import Connection
from santral.retrieval.index.pgvector.store import FORMAT, NEW, Found, Tables
from santral.retrieval.index.snapshot import begin_snapshot, check_snapshot, seal_snapshot

_KIND = "pgvector"


async def save(
    conn: Connection, partition: Partition, found: Found | None, prefix: str, folder: Path
) -> None:
    """Copy the tables into an empty folder."""
    await asyncio.to_thread(begin_snapshot, folder)
    held = found or NEW
    for name, table in _tables(prefix, held).items():
        await conn.copy_from_table(table, output=folder / name, format="binary")
    await asyncio.to_thread(seal_snapshot, folder, _KIND, FORMAT, partition, held)


def read(partition: Partition, folder: Path) -> Found:
    """Return what a snapshot holds, after checking every byte of it.

    Raises:
        StoreError: it is damaged, of another format, or of another partition.
    """
    about = check_snapshot(folder, _KIND, FORMAT, partition)
    return msgspec.json.decode(about.held, type=Found)


async def load(conn: Connection, prefix: str, saved: Found, into: Found, folder: Path) -> None:
    """Copy the files of a snapshot into tables that are empty."""
    files = _tables(prefix, saved)
    for name, table in _tables(prefix, into).items():
        if name in files:
            await conn.copy_to_table(table, source=folder / name, format="binary")


def _tables(prefix: str, found: Found) -> dict[str, str]:
    """Return the tables of a partition by the names of their files."""
    if not found.number:
        return {}
    tables = Tables(prefix, found.number)
    own = {
        "documents": tables.documents,
        "chunks": tables.chunks,
        "postings": tables.postings,
        "segments": f"{tables.postings}_segments",
    }
    return {**own, "vectors": tables.vectors} if found.dimensions else own

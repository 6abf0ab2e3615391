"""Generations on disk: an index is published whole or not at all, and read while it is replaced.

    <data>/index/<tenant>/<collection>/CURRENT            name of the generation in force
    <data>/index/<tenant>/<collection>/<generation>/      immutable: meta.json, arrays, records
    <data>/index/<tenant>/<collection>/ingest.lock        held by the process that writes

A generation is written into a temporary folder, synced, renamed, and only then named by CURRENT,
itself replaced by a rename: killed at any moment, a writer leaves the last good one. Readers map the
files while they hold a shared lock on the folder; a writer removes a generation only after it got
the exclusive one, and what is mapped stays readable after that.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import secrets
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from msgspec import Struct

from santral.errors import StoreError
from santral.retrieval.embedding.lsa import Embedding
from santral.retrieval.index.embedded.index import (
    FORMAT,
    CollectionIndex,
    IndexMeta,
    IndexSignals,
)
from santral.retrieval.index.embedded.passages import IndexedDocument, Passages
from santral.retrieval.index.embedded.postings import Postings

CURRENT = "CURRENT"
LOCK = "ingest.lock"

#: Times a reader starts again because the generation it was about to open was replaced. Chosen: a
#: writer needs seconds per generation, a reader milliseconds.
_READ_ATTEMPTS = 5
#: Longest folder name made from a name; file systems take 255 bytes.
_MAX_NAME = 200


class _Catalogue(Struct, array_like=True):
    """What is decoded whole when a generation is loaded."""

    documents: tuple[IndexedDocument, ...]
    sections: tuple[str, ...]


def partition(data_folder: Path, tenant_id: str, collection: str) -> Path:
    """Return the folder of one tenant's collection; no name can point outside it."""
    return data_folder / "index" / _folder_name(tenant_id) / _folder_name(collection)


def current(folder: Path) -> str | None:
    """Return the name of the generation in force, or nothing when none was published."""
    try:
        name = (folder / CURRENT).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"The index pointer {folder / CURRENT} cannot be read: {error}") from None
    if not name or "/" in name or name.startswith("."):
        raise StoreError(
            f"The index pointer {folder / CURRENT} is damaged. Run santral ingest again."
        )
    return name


def publish(folder: Path, meta: IndexMeta, signals: IndexSignals, passages: Passages) -> str:
    """Write a generation and put it in force; return its name. The caller holds ``writing``.

    Raises:
        StoreError: the disk is full or read-only; the last generation stays in force.
    """
    name = f"{meta.revision:010d}-{secrets.token_hex(4)}"
    draft = folder / f".draft-{name}"
    try:
        draft.mkdir(parents=True)
        _write(draft, meta, signals, passages)
        _sync(draft)
        draft.rename(folder / name)
        _sync(folder)
        pointer = folder / f".{CURRENT}-{name}"
        _write_synced(pointer, name.encode())
        previous = current(folder)
        pointer.replace(folder / CURRENT)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StoreError(
            f"The index in {folder} cannot be written: {error.strerror or error}. "
            "The last one stays in force."
        ) from None
    _remove_old(folder, {name, previous})
    return name


def load(folder: Path) -> tuple[str, CollectionIndex] | None:
    """Map the generation in force and return its name with it, or nothing when there is none.

    Raises:
        StoreError: it is damaged, or made by another version.
    """
    for _ in range(_READ_ATTEMPTS):
        name = current(folder)
        if name is None:
            return None
        try:
            with _shared(folder / name):
                return name, _read(folder / name)
        except FileNotFoundError:
            continue  # replaced and removed since we read the pointer, or damaged: look again
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise _damaged(folder / name, str(error)) from None
    raise _damaged(folder, "a file of the generation in force is missing")


def list_partitions(data_folder: Path) -> Iterator[Path]:
    """Yield the folders of all collections that have a published index."""
    try:
        tenants = sorted(os.scandir(data_folder / "index"), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for tenant in tenants:
        if tenant.is_dir():
            for pointer in sorted(Path(tenant.path).glob(f"*/{CURRENT}")):
                yield pointer.parent


@contextmanager
def writing(folder: Path) -> Generator[None]:
    """Hold the right to write a collection's index; the kernel frees it when the process ends.

    Raises:
        StoreError: another process holds it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Never removed: a new file under the same name would be another lock.
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"The index folder {folder} cannot be used: {error.strerror}.") from None
    try:
        _lock_or_refuse(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def _lock_or_refuse(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreError(f"The index folder cannot be locked: {error.strerror}.") from None
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        raise StoreError(
            f"Another ingest of this collection is running (process {holder or 'unknown'}). "
            "Wait until it has finished, then run this one again.",
            code="ingest_running",
        ) from None


def _folder_name(name: str) -> str:
    quoted = (
        quote(name, safe="").replace(".", "%2E") if name.startswith(".") else quote(name, safe="")
    )
    if not quoted:
        raise StoreError("A tenant or collection without a name has no index.")
    if len(quoted) > _MAX_NAME:
        return f"{quoted[:100]}-{sha256(name.encode()).hexdigest()[:32]}"
    return quoted


def _arrays(signals: IndexSignals, passages: Passages) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for label, postings in (("stems", signals.stems), ("grams", signals.grams)):
        arrays |= {f"{label}-{key}": value for key, value in _fields(postings)}
    arrays |= {f"embedding-{key}": value for key, value in _fields(signals.embedding)}
    arrays["vectors"] = signals.vectors
    arrays |= {f"passages-{key}": getattr(passages, key) for key in _PASSAGE_ARRAYS}
    return arrays


_PASSAGE_ARRAYS = ("document", "section", "offsets")


def _fields(struct: Struct) -> list[tuple[str, Any]]:
    return [(key, getattr(struct, key)) for key in struct.__struct_fields__]


def _write(folder: Path, meta: IndexMeta, signals: IndexSignals, passages: Passages) -> None:
    for label, values in _arrays(signals, passages).items():
        with (folder / f"{label}.npy").open("wb") as file:
            np.save(file, values, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    catalogue = _Catalogue(passages.documents, passages.sections)
    _write_synced(folder / "catalogue.msgpack", msgspec.msgpack.encode(catalogue))
    _write_synced(folder / "records.bin", passages.records)
    _write_synced(folder / "meta.json", msgspec.json.encode(meta))


def _read(folder: Path) -> CollectionIndex:
    meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=IndexMeta)
    if meta.format != FORMAT:
        raise ValueError(f"its format is {meta.format}, this version reads {FORMAT}")
    catalogue = msgspec.msgpack.decode((folder / "catalogue.msgpack").read_bytes(), type=_Catalogue)

    def struct(label: str, keys: Sequence[str]) -> Mapping[str, Any]:
        return {key: _map(folder / f"{label}-{key}.npy") for key in keys}

    index = CollectionIndex(
        meta=meta,
        stems=Postings(**struct("stems", Postings.__struct_fields__)),
        grams=Postings(**struct("grams", Postings.__struct_fields__)),
        embedding=Embedding(**struct("embedding", Embedding.__struct_fields__)),
        vectors=_map(folder / "vectors.npy"),
        passages=Passages(
            documents=catalogue.documents,
            sections=catalogue.sections,
            records=_map_bytes(folder / "records.bin"),
            **struct("passages", _PASSAGE_ARRAYS),
        ),
    )
    _check(index)
    return index


def _check(index: CollectionIndex) -> None:
    passages = index.passages
    sizes = {
        index.meta.chunks,
        len(index.vectors),
        len(passages.document),
        len(passages.section),
        len(passages.offsets) - 1,
    }
    ends = [
        (index.stems.starts[-1], len(index.stems.rows)),
        (index.grams.starts[-1], len(index.grams.rows)),
        (passages.offsets[-1], len(passages.records)),
    ]
    if len(sizes) != 1 or any(end != size for end, size in ends):
        raise ValueError("its files do not belong together")


def _map(path: Path) -> Any:
    # A plain view: slicing np.memmap itself costs microseconds each time.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _map_bytes(path: Path) -> memoryview:
    if path.stat().st_size == 0:
        return memoryview(b"")
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@contextmanager
def _shared(folder: Path) -> Generator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _remove_old(folder: Path, kept: set[str | None]) -> None:
    """Remove all but the kept generations, and what a killed writer left; read ones wait."""
    for entry in list(os.scandir(folder)):
        if entry.name in kept or entry.name in (CURRENT, LOCK):
            continue
        if not entry.is_dir():
            Path(entry.path).unlink(missing_ok=True)
        elif not _is_read(entry.path):
            shutil.rmtree(entry.path, ignore_errors=True)


def _is_read(folder: str) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _write_synced(path: Path, content: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(place: Path, reason: str) -> StoreError:
    return StoreError(
        f"The index {place} cannot be used: {reason}. Run santral ingest again to rebuild it.",
        code="index_damaged",
    )

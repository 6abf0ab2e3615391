"""The manifest: what of a partition's folder counts, replaced whole by a rename.

    <data>/index/<tenant>/<collection>/v<version>/MANIFEST        names every segment in force
    <data>/index/<tenant>/<collection>/v<version>/<name>.segment  immutable
    <data>/index/<tenant>/<collection>/v<version>/writer.lock     held by the process that writes

A segment is written under its own name, synced, and only then named by the manifest: killed at any
moment, a writer leaves the last published state, and files that nobody names. Readers map segments
while they hold a shared lock on the folder; a writer removes what is no longer named only while
nobody does, and what is mapped stays readable after that.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.errors import StoreError
from santral.retrieval.analysis.language import Language
from santral.retrieval.index.embedded.arrays import damaged
from santral.retrieval.index.entry import IndexState, Partition

MANIFEST = "MANIFEST"
LOCK = "writer.lock"
SUFFIX = ".segment"

#: Version of the files and of the analysis behind them; another one is made anew by the next ingest.
FORMAT = 3

#: Folders of the first releases: a revision and a random part.
_FORMER = re.compile(r"(?:\.draft-)?\d{10}-[0-9a-f]{8}")
#: Longest folder name made from a name; file systems take 255 bytes.
_MAX_NAME = 200


class Part(Struct, frozen=True):
    """A segment that counts, and which of its documents do not: a bit for each."""

    name: str
    removed: bytes = b""

    def gone(self, documents: int) -> NDArray[np.bool_]:
        """Return the removed documents as a mask."""
        bits = np.frombuffer(self.removed, np.uint8) if self.removed else np.zeros(0, np.uint8)
        mask = np.unpackbits(bits, count=documents) if len(bits) else np.zeros(documents, np.uint8)
        return mask.astype(bool)


class Manifest(Struct, frozen=True, kw_only=True):
    """A published state. ``number`` grows with each one; ``token`` tells two of one number apart."""

    format: int = FORMAT
    tenant_id: str
    collection: str
    version: int
    number: int = 0
    token: str = ""
    documents: int = 0
    chunks: int = 0
    dimensions: int = 0
    languages: tuple[Language, ...] = ()
    size_bytes: int = 0
    parts: tuple[Part, ...] = ()

    @property
    def generation(self) -> str:
        """What names the state."""
        return f"{self.number:08d}-{self.token}" if self.number else ""

    @property
    def state(self) -> IndexState:
        """What the index says of itself."""
        return IndexState(
            generation=self.generation,
            documents=self.documents,
            chunks=self.chunks,
            dimensions=self.dimensions,
            languages=self.languages,
            size_bytes=self.size_bytes,
        )


def partition_folder(data_folder: Path, partition: Partition) -> Path:
    """Return the folder of a partition; no name can point outside it."""
    tenant, collection = _folder_name(partition.tenant_id), _folder_name(partition.collection)
    return data_folder / "index" / tenant / collection / f"v{partition.version}"


def no_manifest(partition: Partition) -> Manifest:
    """Return the state of a partition of which nothing was published."""
    return Manifest(
        tenant_id=partition.tenant_id,
        collection=partition.collection,
        version=partition.version,
    )


def read_manifest(folder: Path, partition: Partition) -> Manifest:
    """Return what is in force.

    Raises:
        StoreError: it is damaged, of another format, or of another partition (the folder was moved).
    """
    path = folder / MANIFEST
    try:
        checksum, _, content = path.read_bytes().partition(b"\n")
        if checksum != _checksum(content):
            raise damaged(path, "its checksum is another")
        manifest = msgspec.json.decode(content, type=Manifest)
    except FileNotFoundError:
        return no_manifest(partition)
    except (OSError, msgspec.MsgspecError) as error:
        raise damaged(path, str(error)) from None
    if manifest.format != FORMAT:
        raise damaged(path, f"its format is {manifest.format}, this version reads {FORMAT}")
    if (manifest.tenant_id, manifest.collection, manifest.version) != (
        partition.tenant_id,
        partition.collection,
        partition.version,
    ):
        raise damaged(path, "it belongs to another tenant, collection or version")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a state in force, durably; raises ``OSError``."""
    draft = folder / f".{MANIFEST}"
    content = msgspec.json.encode(manifest)
    with draft.open("wb") as file:
        file.write(_checksum(content) + b"\n" + content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)  # the names of its segments, before anything points to them
    draft.replace(folder / MANIFEST)
    sync_folder(folder)


def remove_unnamed(folder: Path, kept: Collection[str]) -> None:
    """Remove segments and drafts that are not kept, unless somebody is about to map one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for entry in list(os.scandir(folder)):
            if entry.name not in kept and entry.name not in (MANIFEST, LOCK):
                Path(entry.path).unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
    finally:
        os.close(descriptor)


def remove_former(collection_folder: Path) -> None:
    """Remove what the first releases kept of a collection beside its versions; raises ``OSError``.

    They built an index whole, in a folder that CURRENT named.
    """
    pointer = collection_folder / "CURRENT"
    if not pointer.exists():
        return
    for entry in list(os.scandir(collection_folder)):
        if entry.is_dir() and _FORMER.fullmatch(entry.name):
            shutil.rmtree(entry.path, ignore_errors=True)
    (collection_folder / "ingest.lock").unlink(missing_ok=True)
    pointer.unlink()


@contextmanager
def mapping(folder: Path) -> Generator[None]:
    """Keep writers from removing files of a folder; raises ``FileNotFoundError`` where it is gone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def lock_folder(folder: Path) -> int:
    """Return the right to write a folder, an open file; the kernel frees it when the process ends.

    Raises:
        StoreError: another process holds it, or the folder cannot be made.
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue  # dropped in this moment
        except OSError as error:
            raise StoreError(
                f"The index folder {folder} cannot be used: {error.strerror}."
            ) from None
        try:
            _lock_or_refuse(descriptor)
            if _is_at(descriptor, folder / LOCK):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        except BaseException:  # whatever it was, the file is closed
            os.close(descriptor)
            raise
        os.close(descriptor)  # its folder was dropped since we opened it: there may be a new one


def remove_folder(folder: Path) -> None:
    """Remove a partition: first what says that it counts, then all of it; raises ``OSError``."""
    (folder / MANIFEST).unlink(missing_ok=True)
    sync_folder(folder)
    shutil.rmtree(folder)
    for parent in (folder.parent, folder.parent.parent):
        try:
            parent.rmdir()
        except OSError:
            return  # others live there


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(content: bytes) -> bytes:
    return b"%08x" % crc32(content)


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


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _folder_name(name: str) -> str:
    quoted = quote(name, safe="")
    if name.startswith("."):
        quoted = quoted.replace(".", "%2E")
    if not quoted:
        raise StoreError("A tenant or collection without a name has no index.")
    if len(quoted) > _MAX_NAME:
        return f"{quoted[:100]}-{sha256(name.encode()).hexdigest()[:32]}"
    return quoted

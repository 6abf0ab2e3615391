"""Objects that outlive a request, as files: stored responses, uploaded files, batches.

One file an object, under ``<data folder>/objects/<tenant>/<kind>/``. A tenant's folder is in the path,
so no id, known or guessed, leads into another's. A file is written beside its place, synced and
renamed: a crash at any moment leaves the whole object or none.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from santral.errors import StoreError, TooLarge

#: What may stand in a path: no dots and no slashes, so nothing leads elsewhere.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SUFFIX = ".json"
_UNFINISHED = ".tmp"
#: A file half-written for longer than this belongs to a process that died. Chosen.
ABANDONED_S = 3600.0
#: How often a tenant's folder is looked through for what is over its time, in seconds. Chosen.
SWEEP_EVERY_S = 600.0
#: Most files that one sweep removes: the rest waits for the next one. Chosen: some 50 ms of a disk.
MAX_REMOVED = 1000
#: A full folder is emptied to this share of its bounds, so that not every write looks through all of
#: it. Chosen.
FULL_SHARE = 0.9


class Bounds(Struct, frozen=True, kw_only=True):
    """How much one tenant may keep; beyond ``count`` or ``size_bytes`` the oldest objects go."""

    keep_s: float
    count: int
    size_bytes: int
    object_bytes: int


class _Tally(Struct):
    """What one tenant keeps, as far as this process knows."""

    count: int
    size_bytes: int
    swept_at: float


class _Entry(Struct, frozen=True):
    path: str
    size_bytes: int
    written_at: float


class ObjectFolder:
    """The objects of one kind, of all tenants; every call leaves the event loop for the disk."""

    def __init__(
        self,
        root: Path,
        kind: str,
        wall: Callable[[], float],
        randbytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """``root`` is the folder of all tenants, ``wall`` seconds since the Unix epoch."""
        self._root = root
        self._kind = kind
        self._wall = wall
        self._randbytes = randbytes
        self._tallies: dict[str, _Tally] = {}

    def new_id(self) -> str:
        """Return 48 hexadecimal digits that nobody can guess."""
        return self._randbytes(24).hex()

    async def put(self, tenant: str, name: str, data: bytes, bounds: Bounds) -> None:
        """Keep ``data``, durably, before this returns; the tenant's oldest objects make room.

        Raises:
            TooLarge: it is over ``object_bytes``.
            StoreError: the disk takes nothing; nothing half-done stays behind.
        """
        if len(data) > bounds.object_bytes:
            raise TooLarge(
                f"The object has {len(data)} bytes; at most {bounds.object_bytes} are kept."
            )
        await asyncio.to_thread(self._put, self._path(tenant, name), data, tenant, bounds)

    async def get(self, tenant: str, name: str, keep_s: float) -> bytes | None:
        """Return an object, or None: unknown, another tenant's, or older than ``keep_s``."""
        if not is_name(tenant, name):
            return None
        return await asyncio.to_thread(self._get, self._path(tenant, name), keep_s)

    async def delete(self, tenant: str, name: str) -> bool:
        """Forget an object; says whether it was there."""
        if not is_name(tenant, name):
            return False
        return await asyncio.to_thread(self._delete, self._path(tenant, name), tenant)

    async def sweep(self, bounds: Bounds) -> None:
        """Remove what is over its time, also of tenants that write nothing more.

        Raises:
            StoreError: a folder cannot be read or written.
        """
        for tenant in await asyncio.to_thread(self._tenants):
            await asyncio.to_thread(self._sweep, tenant, bounds)

    def _tenants(self) -> list[str]:
        try:
            return sorted(path.parent.name for path in self._root.glob(f"*/{self._kind}"))
        except OSError as error:
            raise StoreError(f"{self._root}: {error.strerror}.") from None

    def _sweep(self, tenant: str, bounds: Bounds) -> None:
        folder = self._folder(tenant)
        try:
            self._tallies[tenant] = _sweep(folder, self._wall(), bounds)
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}.") from None

    def _folder(self, tenant: str) -> Path:
        return self._root / tenant / self._kind

    def _path(self, tenant: str, name: str) -> Path:
        if not is_name(tenant, name):
            raise StoreError(f"'{name[:128]}' cannot be the name of an object.")
        return self._folder(tenant) / f"{name}{_SUFFIX}"

    def _put(self, path: Path, data: bytes, tenant: str, bounds: Bounds) -> None:
        now = self._wall()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, data, self._randbytes(8).hex(), now)
            self._count(tenant, len(data), now, bounds)
        except OSError as error:
            raise StoreError(f"{path.parent}: {error.strerror}.") from None

    def _get(self, path: Path, keep_s: float) -> bytes | None:
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mtime + keep_s <= self._wall():
                    return None
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}.") from None

    def _delete(self, path: Path, tenant: str) -> bool:
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}.") from None
        tally = self._tallies.get(tenant)
        if tally is not None:
            tally.count -= 1
            tally.size_bytes -= size
        return True

    def _count(self, tenant: str, size_bytes: int, now: float, bounds: Bounds) -> None:
        """Add one object to what the tenant keeps, and look for room where there is none left."""
        tally = self._tallies.get(tenant)
        if tally is not None:
            tally.count += 1
            tally.size_bytes += size_bytes
            is_full = tally.count > bounds.count or tally.size_bytes > bounds.size_bytes
            if not is_full and now - tally.swept_at < SWEEP_EVERY_S:
                return
        self._tallies[tenant] = _sweep(self._folder(tenant), now, bounds)


def is_name(*names: str) -> bool:
    """Whether all of these may stand in a path: a tenant's id, an object's."""
    return all(_NAME.fullmatch(name) for name in names)


def write_whole(path: Path, data: bytes, mark: str, now: float | None = None) -> None:
    """Write a file durably, the whole of it or nothing.

    ``mark`` tells this write from any other of the same file; ``now`` is when the file says it was
    written. Raises OSError.
    """
    unfinished = path.with_name(f"{path.name}.{mark}{_UNFINISHED}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if now is not None:
            os.utime(unfinished, (now, now))
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Source: fsync(2), on directory entries."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path, now: float, bounds: Bounds) -> _Tally:
    """Remove what is over its time, then the oldest of a full folder; return what is left."""
    entries = sorted(_entries(folder, now), key=lambda entry: entry.written_at)
    count, size_bytes, removed = len(entries), sum(e.size_bytes for e in entries), 0
    is_full = count > bounds.count or size_bytes > bounds.size_bytes
    share = FULL_SHARE if is_full else 1.0
    most, most_bytes = int(bounds.count * share), int(bounds.size_bytes * share)
    for entry in entries:
        has_room = (count <= most and size_bytes <= most_bytes) or entry is entries[-1]
        is_over = entry.written_at + bounds.keep_s <= now
        if (has_room and not is_over) or removed == MAX_REMOVED:
            break
        Path(entry.path).unlink(missing_ok=True)
        count, size_bytes, removed = count - 1, size_bytes - entry.size_bytes, removed + 1
    return _Tally(count, size_bytes, now)


def _entries(folder: Path, now: float) -> Iterator[_Entry]:
    with os.scandir(folder) as found:
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another worker removed it
                continue
            if not entry.name.endswith(_UNFINISHED):
                yield _Entry(entry.path, status.st_size, status.st_mtime)
            elif status.st_mtime + ABANDONED_S < now:
                Path(entry.path).unlink(missing_ok=True)

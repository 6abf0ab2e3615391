"""Files of flat arrays: written once, then mapped by every process that reads them.

8 bytes   magic                     8 bytes   length of the directory
4 bytes   checksum of the directory, then the directory: msgpack of ``_Directory``
arrays    each at a multiple of 64 bytes
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.errors import StoreError

Array: TypeAlias = NDArray[Any]

_MAGIC = b"SANTIDX\x02"
_HEAD = struct.Struct("<8sQI")
#: A cache line: arrays begin on one.
_ALIGNED = 64


class _Place(Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int  # from the end of the directory, padded


class _Directory(Struct, frozen=True):
    places: tuple[_Place, ...]
    size: int
    checksum: int


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays into a new file and sync it; raises ``OSError``."""
    parts = [np.ascontiguousarray(array) for array in arrays.values()]
    places: list[_Place] = []
    size = 0
    for name, array in zip(arrays, parts, strict=True):
        places.append(_Place(name, array.dtype.str, array.shape, size))
        size += _padded(array.nbytes)
    checksum = 0
    for piece in _pieces(parts):
        checksum = crc32(piece, checksum)
    directory = msgspec.msgpack.encode(_Directory(tuple(places), size, checksum))
    with path.open("wb") as file:
        head = _HEAD.pack(_MAGIC, len(directory), crc32(directory)) + directory
        file.write(head.ljust(_padded(len(head)), b"\0"))
        for piece in _pieces(parts):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def map_arrays(path: Path) -> dict[str, Array]:
    """Map the arrays of a file, which may be removed after that.

    Raises:
        FileNotFoundError: it is not there.
        StoreError: it is cut, of another format, or its directory is damaged.
    """
    mapped, directory, start = _mapped(path)
    return {
        place.name: np.frombuffer(
            mapped, place.dtype, count=int(np.prod(place.shape)), offset=start + place.offset
        ).reshape(place.shape)
        for place in directory.places
    }


class Records:
    """Byte strings of a file, read when they are asked for: they never count as memory of a process.

    offsets: int64 [records + 1] into the array ``name`` of the file. Safe to use from many threads.
    """

    def __init__(self, path: Path, name: str, offsets: NDArray[np.int64]) -> None:
        _, directory, start = _mapped(path)
        place = next(place for place in directory.places if place.name == name)
        self._offsets, self._start = offsets, start + place.offset
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, numbers: NDArray[np.intp]) -> list[bytes]:
        """Return some records."""
        begins = self._offsets[numbers]
        spans = zip(begins.tolist(), self._offsets[numbers + 1].tolist(), strict=True)
        return [os.pread(self._file, end - begin, self._start + begin) for begin, end in spans]

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


def check_arrays(path: Path) -> None:
    """Read a whole file and compare it with its checksum.

    Raises:
        StoreError: it is not what was written, or not there.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from None
    if len(content) < _HEAD.size:
        raise damaged(path, "it is cut")
    directory, start = _directory(path, content)
    if crc32(content[start:]) != directory.checksum:
        raise damaged(path, "its checksum is another")


def damaged(place: Path, reason: str) -> StoreError:
    """Return the error for files that cannot be used."""
    return StoreError(
        f"The index {place} cannot be used: {reason}. Run santral ingest again to rebuild it.",
        code="index_damaged",
    )


def _mapped(path: Path) -> tuple[memoryview, _Directory, int]:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < _HEAD.size:
            raise damaged(path, "it is cut")
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return mapped, *_directory(path, mapped)


def _directory(path: Path, content: memoryview) -> tuple[_Directory, int]:
    """Return the directory of a file and where its arrays begin."""
    magic, length, checksum = _HEAD.unpack(content[: _HEAD.size])
    if magic != _MAGIC:
        raise damaged(path, "it is of another format")
    encoded = content[_HEAD.size : _HEAD.size + length]
    if len(encoded) != length or crc32(encoded) != checksum:
        raise damaged(path, "its directory is damaged")
    directory = msgspec.msgpack.decode(encoded, type=_Directory)
    start = _padded(_HEAD.size + length)
    if start + directory.size != len(content):
        raise damaged(path, "it is cut")
    return directory, start


def _pieces(arrays: list[Array]) -> Iterator[memoryview | bytes]:
    for array in arrays:
        if array.nbytes:
            yield array.reshape(-1).view(np.uint8).data
        yield bytes(_padded(array.nbytes) - array.nbytes)


def _padded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED

"""Files of the folder ``run/``: the parent writes them whole, workers read them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from santral.errors import StoreError

T = TypeVar("T")


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file where what it holds is another; only its owner reads it.

    A reader sees the old file or the new one, however many write.

    Raises:
        OSError: it cannot be written.
    """
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    making.replace(path)


class RunFileReader(Generic[T]):
    """Reads a file again when it was replaced."""

    def __init__(self, path: Path, decode: Callable[[bytes], T]) -> None:
        """``decode`` raises ``msgspec.DecodeError`` for what is no such file."""
        self._path = path
        self._decode = decode
        self._stamp = (0, 0)

    def read(self) -> T | None:
        """Return what the file says; None where it is the one read last, or is not there yet.

        Raises:
            StoreError: the file is there and cannot be read.
        """
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return None
            found = self._decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}. Restart santral.") from None
        self._stamp = stamp
        return found

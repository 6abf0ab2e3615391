"""The folder of the spool as the collector meets it: segments, and what is none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from santral.errors import StoreError
from santral.traces.segment import SUFFIX

#: What a file is renamed to that has a segment's name and is none; nobody deletes it but a person.
ASIDE = ".damaged"


def segments(folder: Path) -> list[Path]:
    """Return the segments of all workers, each worker's in the order they were written.

    Also of workers that are gone, and whatever else has a segment's name.

    Raises:
        StoreError: the folder cannot be listed.
    """
    return sorted(folder / name for name in _names(folder) if name.endswith(SUFFIX))


def aside(folder: Path) -> int:
    """Return how many files are put aside.

    Raises:
        StoreError: the folder cannot be listed.
    """
    return sum(ASIDE in name for name in _names(folder))


def put_aside(path: Path) -> Path:
    """Rename what is no segment, so that it is looked at once; return its new place.

    Raises:
        OSError: it cannot be renamed.
    """
    for number in count():
        place = path.with_suffix(f"{ASIDE}-{number}" if number else ASIDE)
        if not os.path.lexists(place):
            return path.rename(place)
    raise AssertionError("unreachable")


def remove(folder: Path, names: Iterable[str]) -> list[str]:
    """Remove segments and return those that are gone now."""
    for name in names:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    return [name for name in names if not os.path.lexists(folder / name)]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []  # no worker has run yet
    except OSError as error:
        raise StoreError(
            f"The spool {folder} cannot be read: {error.strerror}. Let this process read it."
        ) from error

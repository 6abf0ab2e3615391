"""The kill switch: answers that must not be served again, by the beginning of their key.

A file in the data folder holds them, so that every worker sees a kill within two seconds and none
forgets it. Killing an answer does not delete it: a wrong answer that was shared stays evidence.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from santral.errors import BadRequest, StoreError

#: Fewest digits that name an entry: what traces show. Chosen: two of a million share eight digits
#: once in 10,000 installations.
LEAST_DIGITS = 8
#: Most kills that are kept. Chosen: more means that the cache should be off.
MOST = 10_000

_KEY = re.compile(r"[0-9a-f]{8,64}")


class KillSwitch:
    """Reads the file again when it changes; ``refresh`` reads the disk, so run it in a thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._killed: dict[int, set[str]] = {}

    def refresh(self) -> bool:
        """Read the file if it changed; an unreadable one leaves what was known in force."""
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            self._killed, changed = {}, bool(self._killed)
            self._stamp = None
            return changed
        except OSError:
            return False
        if stamp == self._stamp:
            return False
        killed: dict[int, set[str]] = {}
        for digits in killed_keys(self._file):
            killed.setdefault(len(digits), set()).add(digits)
        self._stamp, self._killed = stamp, killed
        return True

    def is_alive(self, key: bytes) -> bool:
        """Whether the answer under ``key`` may be served."""
        if not self._killed:
            return True
        digits = key.hex()
        return not any(digits[:length] in some for length, some in self._killed.items())


def kill_file(data_folder: Path) -> Path:
    """Return the file of a data folder."""
    return data_folder / "cache" / "killed"


def killed_keys(file: Path) -> list[str]:
    """Return the killed keys, the oldest first.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        lines = file.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}.") from None
    return [line for line in dict.fromkeys(lines) if _KEY.fullmatch(line)]


def kill(file: Path, key: str) -> None:
    """Stop an answer from being served, in every worker within two seconds.

    Raises:
        BadRequest: not the key of an entry.
        StoreError: the data folder cannot be written to.
    """
    digits = key_digits(key)
    _write(file, [*(k for k in killed_keys(file) if k != digits), digits][-MOST:])


def unkill(file: Path, key: str) -> bool:
    """Allow an answer again; False where it was not killed. Raises as ``kill``."""
    digits = key_digits(key)
    killed = killed_keys(file)
    _write(file, [k for k in killed if k != digits])
    return digits in killed


def key_digits(key: str) -> str:
    """Return ``key`` as it is kept; raises BadRequest where it is none."""
    digits = key.strip().lower()
    if not _KEY.fullmatch(digits):
        raise BadRequest(
            f"'{key[:80]}' is not the key of a cached answer. Take the 8 to 64 hexadecimal digits "
            "that `santral cache list` or a trace shows as its cache entry.",
            param="key",
        )
    return digits


def _write(file: Path, keys: list[str]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=file.parent, delete=False, encoding="ascii"
        ) as fresh:
            fresh.write("".join(f"{key}\n" for key in keys))
        os.replace(fresh.name, file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}. Check the folder.") from None

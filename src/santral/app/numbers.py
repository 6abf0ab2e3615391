"""The metrics of a machine's gateway as one: every process leaves its numbers in a small file, and
whoever is asked adds them up.

    run/numbers/<process>.msgpack    of one process, written every second, when it is asked and when it ends
    run/numbers/over.msgpack         the sum of the processes that have ended

What was shown is on disk before it is shown, and numbers of a process that ends move from its file to the
sum in one step, so no counter ever goes backwards, also when a process is killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

from santral.traces.metrics import Metrics, Numbers

log = logging.getLogger(__name__)

#: How often a process leaves its numbers, in seconds. Chosen: others see them as old as this.
LEAVE_EVERY_S = 1.0
#: Ended processes that the sum names, so that none is counted twice by who read its file before. Chosen:
#: far more than can end while files are read.
_NAMED = 64
_SUFFIX = ".msgpack"
_OVER = "over"


class _Over(Struct, frozen=True):
    """The sum of the processes that have ended, and the last of them by name."""

    numbers: Numbers = field(default_factory=Numbers)
    names: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_numbers = msgspec.msgpack.Decoder(Numbers)
_over = msgspec.msgpack.Decoder(_Over)


class SharedNumbers:
    """The numbers of this process among those of the others."""

    def __init__(self, data_folder: Path, name: str, metrics: Metrics) -> None:
        self._folder = numbers_folder(data_folder)
        self._name = name
        self._metrics = metrics
        self._taken = self._left = 0
        self._lock = threading.Lock()  # the file: no older numbers after newer ones

    async def run(self) -> None:
        """Leave the numbers every second, until cancelled."""
        while True:
            await asyncio.sleep(LEAVE_EVERY_S)
            await asyncio.to_thread(self._leave, *self._take())

    def leave(self) -> None:
        """Leave the numbers as they are now."""
        self._leave(*self._take())

    async def render(self) -> str:
        """Return the numbers of all processes, those of this one as they are now."""
        return await asyncio.to_thread(self._render, *self._take())

    def _take(self) -> tuple[int, Numbers]:
        self._taken += 1
        return self._taken, self._metrics.numbers()

    def _render(self, count: int, own: Numbers) -> str:
        self._leave(count, own)
        together = Metrics()
        together.add(own)
        found = [(name, numbers) for name, numbers in _left(self._folder) if name != self._name]
        # Read last: whoever ended meanwhile is in it, and left out above all the same.
        over = _read_over(self._folder)
        for name, numbers in found:
            if name not in over.names:
                together.add(numbers)
        together.add(over.numbers, is_over=True)
        return together.render()

    def _leave(self, count: int, numbers: Numbers) -> None:
        with self._lock:
            if count <= self._left:
                return
            self._left = count
            try:
                _write(self._folder / f"{self._name}{_SUFFIX}", _encode(numbers))
            except OSError as error:
                log.warning("numbers_not_left", extra={"reason": error.strerror})


def numbers_folder(data_folder: Path) -> Path:
    """Return where the processes of a data folder leave their numbers."""
    return data_folder / "run" / "numbers"


def begin(data_folder: Path) -> None:
    """Forget what an earlier run left: counters begin at zero with a new parent."""
    folder = numbers_folder(data_folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


def move_over(data_folder: Path, name: str) -> None:
    """Move the numbers of a process that has ended to the sum. Called by the parent alone."""
    folder = numbers_folder(data_folder)
    numbers = _read(folder / f"{name}{_SUFFIX}")
    if numbers is None:
        return
    before = _read_over(folder)
    together = Metrics()
    together.add(before.numbers, is_over=True)
    together.add(numbers, is_over=True)
    kept = {n: series for n, series in together.numbers().items() if series}
    try:
        over = _Over(kept, (*before.names, name)[-_NAMED:])
        _write(folder / f"{_OVER}{_SUFFIX}", _encode(over))
        (folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
    except OSError as error:
        log.warning("numbers_not_left", extra={"reason": error.strerror})


def _left(folder: Path) -> Iterator[tuple[str, Numbers]]:
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        numbers = None if path.stem == _OVER else _read(path)
        if numbers is not None:
            yield path.stem, numbers


def _read(path: Path) -> Numbers | None:
    try:
        return _numbers.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):  # moved over meanwhile, or of another version
        return None


def _read_over(folder: Path) -> _Over:
    try:
        return _over.decode((folder / f"{_OVER}{_SUFFIX}").read_bytes())
    except (OSError, msgspec.DecodeError):
        return _Over()


def _write(path: Path, data: bytes) -> None:
    making = path.with_suffix(".making")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
    making.replace(path)

"""Runs a program of the machine: bounded in time, output and the size of its files, killed whole."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from santral.errors import SourceUnreachable

#: Longest complaint of a program that is repeated. Chosen.
_MAX_SAID = 300
_CHUNK = 64 * 1024
#: In what shells count the size of files. Source: POSIX, ulimit.
_BLOCK = 512


class ProgramFailed(SourceUnreachable):
    """A program ended with a status that is not 0; the message is what it said."""


class Program:
    """One program; ``max_file_bytes`` is the largest file that it may write."""

    def __init__(self, name: str, max_file_bytes: int) -> None:
        self._name = name
        self._blocks = max(1, max_file_bytes // _BLOCK)

    async def run(
        self, words: Sequence[str], *, env: Mapping[str, str], timeout_s: float, max_bytes: int
    ) -> bytes:
        """Return what the program writes; it and its children are gone when this returns.

        Raises:
            ProgramFailed: it is not installed, fails, takes too long, or writes too much.
        """
        # The shell sets the limit and becomes the program: no thread has to fork our process.
        command = f'ulimit -f {self._blocks}; exec "$0" "$@"'
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command, self._name, *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout_s):
                output, said = await self._read(process, max_bytes)
                status = await process.wait()
        except TimeoutError:
            raise ProgramFailed(f"{self._name} took longer than {timeout_s:g} s.") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()  # to the end of its pipes, or they stay open
        if status:
            raise ProgramFailed(f"{self._name} failed: {_complaint(self._name, status, said)}")
        return output

    async def _read(
        self, process: asyncio.subprocess.Process, max_bytes: int
    ) -> tuple[bytes, bytes]:
        assert process.stdout is not None  # noqa: S101 - both were asked for
        assert process.stderr is not None  # noqa: S101
        try:
            async with asyncio.TaskGroup() as group:
                output = group.create_task(_whole(process.stdout, max_bytes))
                said = group.create_task(_start(process.stderr))
        except* _TooMuch:
            raise ProgramFailed(f"{self._name} wrote more than {max_bytes} bytes.") from None
        return output.result(), said.result()


class _TooMuch(Exception):
    """A program writes more than it may."""


async def _whole(stream: asyncio.StreamReader, max_bytes: int) -> bytes:
    """Return all that comes; raises _TooMuch as soon as it is too much."""
    read = bytearray()
    while piece := await stream.read(_CHUNK):
        read += piece
        if len(read) > max_bytes:
            raise _TooMuch
    return bytes(read)


async def _start(stream: asyncio.StreamReader) -> bytes:
    """Return the beginning of what comes, and read the rest."""
    read = b""
    while piece := await stream.read(_CHUNK):
        read = (read + piece)[: 4 * _MAX_SAID]
    return read


def _complaint(name: str, status: int, said: bytes) -> str:
    if status == 127:
        return f"it is not installed. Install it, for example with: apt-get install {name}"
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines)[:_MAX_SAID] or f"it ended with the status {status}"

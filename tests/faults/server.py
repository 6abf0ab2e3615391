"""A PostgreSQL of its own that a test may kill, stop for a while, and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import asyncpg
from tests.db import postgres


class Mortal:
    """A server's processes. What was committed is in its files, whatever happens to them."""

    def __init__(self, folder: Path, url: str, pid: int) -> None:
        self.url = url
        self._folder = folder
        self._pid = pid
        self._again: subprocess.Popen[bytes] | None = None
        self._command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]

    def kill(self) -> None:
        """kill -9 of the server and all that serve connections, at once."""
        family = self._family()
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        if self._again is not None:
            self._again.wait()
        else:
            os.waitpid(self._pid, 0)  # a server that is dead and not waited for looks alive
        while any(_is_alive(pid) for pid in family):
            time.sleep(0.005)

    def start(self) -> None:
        """Start again after ``kill`` and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._again = subprocess.Popen(
                self._command, user=postgres._user(), cwd="/", stdout=log, stderr=log
            )
        self._pid = self._again.pid
        port = self.url.rpartition(":")[2].partition("/")[0]
        postgres._wait(
            self._again, self._folder / "log", int(port), postgres._need("pg_isready", None)
        )

    def freeze(self) -> None:
        """Stop every process, so that connections stay and nothing answers."""
        for pid in self._family():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._family():
            os.kill(pid, signal.SIGCONT)

    async def billed(self) -> list[str]:
        """Return the request ids of the ledger's rows, each as often as it is there."""
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        rows = await connection.fetch("SELECT request_id FROM ledger")
        await connection.close()
        return sorted(row[0] for row in rows)

    def end(self) -> None:
        if self._again is not None:
            self.kill()

    def _family(self) -> list[int]:
        return [self._pid, *(pid for pid in _pids() if _parent(pid) == self._pid)]


@contextmanager
def mortal_postgres(folder: Path) -> Generator[Mortal]:
    """Run a server with its files in ``folder``, which writes a commit down before it says so."""
    patience = mock.patch.dict(postgres.SETTINGS, synchronous_commit="on")
    with patience, postgres.running_postgres(folder) as url:
        pid = int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])
        server = Mortal(folder, url, pid)
        try:
            yield server
        finally:
            server.end()


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"

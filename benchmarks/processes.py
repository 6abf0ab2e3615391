"""Child processes that end when the benchmark ends, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from benchmarks.cpu import prefer

_PR_SET_PDEATHSIG = 1  # Source: prctl(2)
_STOP_S = 8.0  # chosen: a gateway that drains has nothing left to drain


class NotStartedError(Exception):
    """A child did not come up; the message has the end of its log."""


@dataclass
class Children:
    """Starts children in their own process groups and ends them all on exit."""

    folder: Path
    niceness: int = 0
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    def __enter__(self) -> Children:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in reversed(self._running):
            stop(child)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        core: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program, pinned to ``core``, its output in ``<folder>/<name>.log``."""
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                argv,
                env=None if env is None else dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: _prepare(core, self.niceness),
            )
        self._running.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """End one child now (and never signal its number again: it may be somebody else's later)."""
        self._running.remove(child)
        stop(child)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def end_of_log(self, name: str, lines: int = 12) -> str:
        path = self.log(name)
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def _prepare(core: int | None, niceness: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    with contextlib.suppress(OSError):
        if core is not None:
            os.sched_setaffinity(0, {core})
        if niceness:
            prefer([os.getpid()], niceness)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child and its group: politely, then for good."""
    for how, wait_s in ((signal.SIGTERM, _STOP_S), (signal.SIGKILL, 2.0)):
        if child.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # what the child left behind in its group
    if child.stdout:
        child.stdout.close()


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(child: subprocess.Popen[bytes], port: int, *, within_s: float) -> None:
    """Return when something listens on ``port``; raise when the child ended or time is up."""
    for _ in _until(within_s):
        if child.poll() is not None:
            raise NotStartedError(f"it ended with status {child.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise NotStartedError(f"it did not listen on port {port} within {within_s:.0f} s")


def _until(within_s: float) -> Iterator[None]:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        yield
        time.sleep(0.02)

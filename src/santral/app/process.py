"""A child process, whether this program started it or the one it replaced did."""

from __future__ import annotations

import os
import signal
import time
from typing import Protocol

#: How often a wait looks, and how long the kernel may take to end what was killed, in seconds. Chosen.
_LOOK_S, _KILLED_WITHIN_S = 0.02, 5.0


class Running(Protocol):
    """What is needed of ``subprocess.Popen``."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return the exit status, minus the signal's number for a kill, or None while it runs."""
        ...

    def send_signal(self, sig: int) -> None: ...


class Adopted:
    """A child that was started before this program replaced its parent's by ``exec``."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._status: int | None = None

    @property
    def pid(self) -> int:
        return self._pid

    def poll(self) -> int | None:
        if self._status is None:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # somebody else waited for it
                self._status = 0
                return self._status
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self._pid, sig)


def end(process: Running, within_s: float) -> bool:
    """Wait for a process that was asked to end; kill it after that time. Says whether it ended itself."""
    until = time.monotonic() + within_s
    while process.poll() is None:
        if time.monotonic() > until:
            kill(process)
            return False
        time.sleep(_LOOK_S)
    return True


def kill(process: Running) -> None:
    """End a process at once, and wait for it."""
    process.send_signal(signal.SIGKILL)
    until = time.monotonic() + _KILLED_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        time.sleep(_LOOK_S)

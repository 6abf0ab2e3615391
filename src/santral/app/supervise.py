"""The parent of the processes: starts them, restarts what dies, hands on signals, stops in order."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from santral.app.child import CANNOT_START

log = logging.getLogger(__name__)

#: A child that dies waits this long before it is started again: doubled each time, in seconds.
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.25, 10.0
#: Before everything has been up once, a child that dies this often stops the start. Chosen.
MOST_DEATHS = 5
#: A child that lived this long was steady: its next death is a first one again, in seconds. Chosen.
STEADY_AFTER_S = 60.0
#: What a child may take longer than its drain before it is killed, in seconds. Chosen.
KILL_AFTER_S = 8.0
#: The others start when the first is up, or after so many seconds. Chosen.
APART_S = 3.0
_TICK_S = 0.05


@dataclass
class Child:
    """One process: its command line, the sockets it inherits, and how often it died lately."""

    role: str
    arguments: list[str]
    pass_fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0  # in a row; one that lived long begins to count anew
    started_at: float = 0.0
    start_at: float = 0.0

    def start(self) -> None:
        command = [sys.executable, "-m", "santral.app.child", "--role", self.role, *self.arguments]
        # Its own session: Ctrl-C in a terminal reaches the parent alone, which stops it in order.
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            command, pass_fds=self.pass_fds, start_new_session=True
        )
        self.started_at = time.monotonic()

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class Beside(Protocol):
    """What the parent does beside keeping its children."""

    def begin(self) -> None:
        """Called once, after the children were started."""
        ...

    def tick(self) -> bool:
        """Called some twenty times a second; says whether all children have been up once."""
        ...

    def is_first_up(self) -> bool:
        """Whether the child that was started first answers."""
        ...

    def end(self) -> None:
        """Called once, after the children have ended."""
        ...


class Supervisor:
    """Keeps children running until it is told to stop."""

    def __init__(self, children: list[Child], drain_s: float) -> None:
        self._children = children
        self._drain_s = drain_s
        self._is_stopping = False
        self._is_up = False

    def run(self, beside: Beside) -> int:
        """Run until a signal; return the exit status: 0 for an orderly end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        try:
            # One after the other: two that import side by side on two cores make both late, and the
            # gateway's first answer is what people wait for.
            first, *others = self._children
            first.start()
            for child in others:
                child.start_at = time.monotonic() + APART_S
            beside.begin()
            while not self._is_stopping:
                self._is_up = beside.tick()
                self._hurry(beside)
                if not all(self._keep(child) for child in self._children):
                    return 1
                time.sleep(_TICK_S)
            return 0
        finally:
            self._end()
            beside.end()

    def _hurry(self, beside: Beside) -> None:
        """Start the others as soon as the first is up."""
        waiting = [c for c in self._children[1:] if c.process is None and not c.deaths]
        if waiting and beside.is_first_up():
            for child in waiting:
                child.start_at = 0.0

    def _keep(self, child: Child) -> bool:
        """Start a child again that died; False when it dies over and over."""
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                child.start()
            return True
        status = child.process.poll()
        if status is None:
            return True
        child.deaths = 1 if now - child.started_at > STEADY_AFTER_S else child.deaths + 1
        child.process = None
        if not self._is_up and (status == CANNOT_START or child.deaths >= MOST_DEATHS):
            log.error("process_gave_up", extra={"role": child.role, "status": status})
            return False
        backoff = min(FIRST_BACKOFF_S * 2**child.deaths, MOST_BACKOFF_S)
        child.start_at = now + backoff
        log.warning(
            "process_died", extra={"role": child.role, "status": status, "restart_in_s": backoff}
        )
        return True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        for child in self._children:
            if child.role == "gateway":  # control holds nothing that a reload may change
                child.signal(signal.SIGHUP)

    def _end(self) -> None:
        """Stop the gateway first and control last, so that it still collects what they spooled."""
        for child in self._children:
            child.signal(signal.SIGTERM)
            if child.process is None:
                continue
            try:
                child.process.wait(self._drain_s + KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                log.error("process_killed", extra={"role": child.role})
                child.process.kill()
                child.process.wait()

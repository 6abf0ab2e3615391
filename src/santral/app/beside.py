"""What the parent does beside keeping its children: the database, access, configuration, restarts."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from santral.app.acts import Acts
from santral.app.channel import Message, Ready
from santral.app.estate import Estate, Heir, leave_to_new_program
from santral.app.handover import Handover
from santral.app.numbers import SharedNumbers, move_over
from santral.app.post import Child, Post
from santral.app.process import Running
from santral.app.refresh import Rounds
from santral.app.restart import (
    REHEARSE_WITHIN_S,
    Outcome,
    begin_rehearsal,
    rehearsed,
    write_outcome,
)
from santral.app.sockets import address
from santral.app.station import process_name
from santral.app.supervise import Supervisor
from santral.config.load import LoadedConfig
from santral.traces.metrics import Metrics

if TYPE_CHECKING:
    from santral.app.publish import Publisher

log = logging.getLogger(__name__)


class ParentsWork:
    """Everything the parent does that is not about processes alone."""

    def __init__(
        self,
        loaded: LoadedConfig,
        listeners: Mapping[str, Sequence[socket.socket]],
        posts: Sequence[Post],
        locks: Sequence[int],
        handover: Handover,
        supervisor: Supervisor,
        estate: Estate | None,
    ) -> None:
        self._loaded = loaded
        self._listeners = listeners
        self._posts = posts
        self._locks = locks
        self._handover = handover
        self._supervisor = supervisor
        self._is_restart = estate is not None
        self._start = time.monotonic()
        self._publisher: Publisher | None = None
        self._rehearsal: Running | None = None
        self._rehearse_until = 0.0
        self._is_rolling = False
        before = (estate.generation, estate.mark) if estate else (0, "")
        self._acts = Acts()
        self._rounds = Rounds(loaded, time.monotonic, before, self._acts)
        metrics = Metrics()
        self._workers = metrics["santral_workers"].child()
        self._ends = metrics["santral_worker_ends_total"]
        self._refusals = metrics["santral_config_reload_failures_total"].child()
        self._dropped_acts = metrics["santral_audit_acts_dropped_total"].child()
        name = f"parent-{os.getpid()}-{time.time_ns()}"
        self._numbers = SharedNumbers(loaded.config.data.folder, name, metrics)
        self._numbers_name = name
        self._shown: tuple[float, ...] = ()

    def begin(self) -> None:
        """Prepare the database while the children import; raises what makes a start impossible."""
        from santral.app.prepare import prepare  # noqa: PLC0415 - heavy, and the children begin first

        self._publisher, first = prepare(self._loaded, os.environ, self._acts)
        self._rounds.prepared()
        if first is not None:
            sys.stdout.write(
                "First start. These keys are shown once and stored only as hashes:\n"
                f"  application key  {first.application.plaintext}\n"
                f"  admin key        {first.admin.plaintext}\n"
            )
            sys.stdout.flush()
        if self._is_restart:
            self._is_rolling = True
            self._supervisor.replace_all()

    def tick(self, workers: Mapping[int, Callable[[Message], object]]) -> None:
        if not self._is_rolling:  # old workers and new ones may not agree
            self._rounds.tick(workers)
        self._go_on_rehearsing()
        self._show(len(workers))

    def up(self) -> None:
        if self._is_restart:
            return
        took_s = time.monotonic() - self._start
        sys.stdout.write(f"Santral is ready after {took_s:.1f} s. Ctrl-C stops it.\n")
        for name, sockets in self._listeners.items():
            path = "/v1" if name == "gateway" else "/"
            sys.stdout.write(f"  {name}  {address(sockets[0])}{path}\n")
        sys.stdout.flush()

    def reload(self) -> None:
        self._rounds.ask()

    def restart(self) -> None:
        """Rehearse first: what cannot start must not replace what runs."""
        if self._rehearsal is None and not self._is_rolling:
            log.info("restart_begins")
            self._say(Outcome("rehearsing"))
            self._rehearsal = begin_rehearsal(self._loaded.config.data.folder, sys.orig_argv)
            self._rehearse_until = time.monotonic() + REHEARSE_WITHIN_S

    def rolled(self, reason: str) -> None:
        self._is_rolling = False
        if reason:
            log.error("restart_stopped", extra={"reason": reason})
        else:
            log.info("restart_done", extra={"took_s": round(time.monotonic() - self._start, 1)})
        self._say(Outcome("stopped" if reason else "done", reason))

    def heard(self, post: Post, child: Child, message: Message) -> None:
        if post.is_alone:
            return
        if not isinstance(message, Ready):
            self._rounds.heard(child.number, message)
        elif (told := self._rounds.welcome(message.mark)) is not None:
            child.channel.send(told)

    def ended(self, post: Post, child: Child, cause: str) -> None:
        if not post.is_alone:
            self._ends.child(cause).inc()
            folder = self._loaded.config.data.folder
            move_over(folder, process_name(child.number, child.process.pid))

    def end(self) -> None:
        if self._publisher is not None:
            self._publisher.stop()

    def _show(self, workers: int) -> None:
        """Leave the parent's own numbers where the workers find them."""
        if "gateway" not in self._listeners:
            return
        self._workers.set(workers)
        self._refusals.set(self._rounds.refusals)
        self._dropped_acts.set(self._acts.dropped)
        ends = [series.value for series in self._ends.series()]
        shown = (workers, self._rounds.refusals, self._acts.dropped, *ends)
        if shown != self._shown:
            self._shown = shown
            self._numbers.leave()

    def _go_on_rehearsing(self) -> None:
        if self._rehearsal is None:
            return
        if self._rehearsal.poll() is None:
            if time.monotonic() > self._rehearse_until:
                self._rehearsal.send_signal(signal.SIGKILL)
            return
        status, self._rehearsal = self._rehearsal.poll(), None
        reason = rehearsed(self._loaded.config.data.folder, status)
        if reason:
            log.error("restart_refused", extra={"reason": reason})
            self._say(Outcome("refused", reason))
            return
        self._say(Outcome("replacing"))
        self.end()
        if "gateway" in self._listeners:
            move_over(self._loaded.config.data.folder, self._numbers_name)
        leave_to_new_program(self._estate())

    def _say(self, outcome: Outcome) -> None:
        write_outcome(self._loaded.config.data.folder, os.getpid(), outcome)

    def _estate(self) -> Estate:
        leaving = [("gateway", child) for child in self._supervisor.leaving]
        staying = [(post.role, child) for post in self._posts for child in post.children()]
        return Estate(
            listeners={
                name: [sock.fileno() for sock in sockets]
                for name, sockets in self._listeners.items()
            },
            locks=[*self._locks],
            handover=self._handover.fds(),
            children=[
                Heir(role, child.number, child.process.pid, child.channel.fileno(), child.is_ready)
                for role, child in [*staying, *leaving]
            ],
            generation=self._rounds.generation,
            mark=self._rounds.mark,
        )

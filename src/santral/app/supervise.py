"""The parent of the processes: starts them, restarts what dies or hangs, hands on signals, replaces them
one after the other, stops in order."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Protocol

from santral.app import process as processes
from santral.app.channel import Beat, Message, Ready, Retire
from santral.app.child import CANNOT_START
from santral.app.post import Child, Post

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
#: How long a successor may take until it accepts connections, in seconds. Chosen: longer than the wait
#: for the first access file.
READY_WITHIN_S = 90.0
#: Between asking a child that hangs where it is, and killing it, in seconds. Chosen.
_TELL_WITHIN_S = 1.0
_TICK_S = 0.05


class Beside(Protocol):
    """What the parent does beside keeping its children."""

    def begin(self) -> None:
        """Called once, after the children were started."""
        ...

    def tick(self, workers: Mapping[int, Callable[[Message], object]]) -> None:
        """Called some twenty times a second, with the gateway workers that are ready, by number."""
        ...

    def up(self) -> None:
        """Called once, when all children accept connections."""
        ...

    def reload(self) -> None:
        """Asked by SIGHUP."""
        ...

    def restart(self) -> None:
        """Asked by SIGUSR2."""
        ...

    def rolled(self, reason: str) -> None:
        """All children were replaced, or not: then this says why."""
        ...

    def heard(self, post: Post, child: Child, message: Message) -> None:
        """A child said something that the supervisor has no use for."""
        ...

    def ended(self, post: Post, child: Child, cause: str) -> None:
        """A child is no more: ``died``, ``hung``, or ``replaced`` in order."""
        ...

    def end(self) -> None:
        """Called once, after the children have ended."""
        ...


class Supervisor:
    """Keeps every post filled until it is told to stop."""

    def __init__(self, posts: Sequence[Post], drain_s: float, stuck_s: float) -> None:
        self._posts = posts
        self._drain_s = drain_s
        self._stuck_s = stuck_s
        self._leaving: list[tuple[float, Post, Child]] = []  # retired, with when they are killed
        self._to_replace: list[Post] = []
        self._asked: set[int] = set()  # signals that came, until they are heeded
        self._is_up = False

    @property
    def leaving(self) -> list[Child]:
        """Children that were retired and still finish what they began."""
        return [child for _, _, child in self._leaving]

    def replace_all(self) -> None:
        """Replace every child that runs, one after the other, by a new one."""
        self._to_replace = [post for post in self._posts if post.child is not None]

    def retire(self, post: Post, child: Child) -> None:
        """Let a child go that no post needs; others take over what it holds."""
        child.channel.send(Retire())
        self._leave(post, child)

    def run(self, beside: Beside) -> int:
        """Run until a signal; return the exit status: 0 for an orderly end."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, self._ask)
        try:
            self._start_apart()
            beside.begin()
            while not self._asked & {signal.SIGTERM, signal.SIGINT}:
                if not self._look(beside):
                    return 1
                time.sleep(_TICK_S)
            return 0
        finally:
            self._end(beside)
            beside.end()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.add(number)

    def _look(self, beside: Beside) -> bool:
        """One look at everything; False when it makes no sense to go on."""
        self._heed(beside)
        for post in self._posts:
            for child in post.children():
                self._hear(post, child, beside)
        if not all(self._keep(post, beside) for post in self._posts):
            return False
        self._see_off(beside)
        self._replace(beside)
        self._hurry()
        if not self._is_up and all(post.is_ready for post in self._posts):
            self._is_up = True
            beside.up()
        beside.tick({child.number: child.channel.send for child in self._workers()})
        return True

    def _heed(self, beside: Beside) -> None:
        for number, do in ((signal.SIGHUP, beside.reload), (signal.SIGUSR2, beside.restart)):
            if number in self._asked:
                self._asked.discard(number)
                do()

    def _workers(self) -> Iterator[Child]:
        """The gateway workers that take requests."""
        for post in self._posts:
            if not post.is_alone:
                yield from (child for child in post.children() if child.is_ready)

    def _start_apart(self) -> None:
        # One after the other: two that import side by side on two cores make both late, and the
        # gateway's first answer is what people wait for.
        for post in self._posts:
            post.start_at = time.monotonic() + APART_S
        first = self._posts[0]
        if first.child is None:
            first.child = first.start(self._free_number(first))

    def _hurry(self) -> None:
        """Start the others as soon as the first is up."""
        if self._posts[0].is_ready:
            for post in self._posts[1:]:
                if post.child is None and not post.deaths:
                    post.start_at = 0.0

    def _hear(self, post: Post, child: Child, beside: Beside) -> None:
        for message in child.channel.received():
            child.heard_at = time.monotonic()
            if isinstance(message, Beat):
                continue
            if isinstance(message, Ready):
                child.is_ready = True
            beside.heard(post, child, message)

    def _keep(self, post: Post, beside: Beside) -> bool:
        """Fill a post again whose child died or hangs; False when it dies over and over."""
        now = time.monotonic()
        child = post.child
        if child is None:
            if now >= post.start_at and not post.is_held and post.successor is None:
                post.child = post.start(self._free_number(post))
            return True
        status = child.process.poll()
        if status is None:
            if self._hangs(post, child, now):
                self._kill_hung(child, now)
            return True
        post.child = None
        self._note_end(post, child, beside, "hung" if child.hung_at else "died")
        post.deaths = 1 if now - child.started_at > STEADY_AFTER_S else post.deaths + 1
        if not self._is_up and (status == CANNOT_START or post.deaths >= MOST_DEATHS):
            log.error("process_gave_up", extra={"role": post.role, "status": status})
            return False
        backoff = min(FIRST_BACKOFF_S * 2**post.deaths, MOST_BACKOFF_S)
        post.start_at = now + backoff
        fields = {"role": post.role, "worker": child.number, "status": status}
        log.warning("process_died", extra={**fields, "restart_in_s": backoff})
        return True

    def _hangs(self, post: Post, child: Child, now: float) -> bool:
        is_watched = child.is_ready and not post.is_alone
        return is_watched and now - child.heard_at > self._stuck_s

    def _kill_hung(self, child: Child, now: float) -> None:
        """Ask it where it hangs, then kill it."""
        if not child.hung_at:
            child.hung_at = now
            fields = {"worker": child.number, "silent_s": round(now - child.heard_at, 1)}
            log.error("worker_hangs", extra=fields)
            child.process.send_signal(signal.SIGUSR1)
        elif now - child.hung_at > _TELL_WITHIN_S:
            child.process.send_signal(signal.SIGKILL)

    def _note_end(self, post: Post, child: Child, beside: Beside, cause: str) -> None:
        child.channel.close()
        beside.ended(post, child, cause)

    def _replace(self, beside: Beside) -> None:
        """Go on with replacing children: the next begins when the one before is done."""
        if not self._to_replace:
            return
        post = self._to_replace[0]
        if post.successor is None:
            self._begin_to_replace(post)
            return
        successor, now = post.successor, time.monotonic()
        self._hear(post, successor, beside)
        if successor.process.poll() is not None or now - successor.started_at > READY_WITHIN_S:
            post.successor = None
            processes.kill(successor.process)
            self._note_end(post, successor, beside, "died")
            self._stop_replacing(beside, "a new process did not come up; its log says why")
        elif successor.is_ready:
            self._retire(post, successor)
            if not self._to_replace:
                beside.rolled("")

    def _begin_to_replace(self, post: Post) -> None:
        if len(self._leaving) >= max(1, len(self._posts) // 4):
            return  # not all memory twice: first let some of those that were replaced finish
        if post.is_alone:  # two of it cannot run: its socket keeps who comes meanwhile
            if post.child is not None:
                post.child.process.send_signal(signal.SIGTERM)
                self._leave(post, post.child)
                post.child, post.is_held = None, True
            if self._leaving:
                return
        post.successor = post.start(self._free_number(post))

    def _retire(self, post: Post, successor: Child) -> None:
        """Let a successor take the post over; who had it is retired."""
        self._to_replace.pop(0)
        old, post.child, post.successor = post.child, successor, None
        post.deaths, post.start_at, post.is_held = 0, 0.0, False
        if old is not None and old.process.poll() is None:
            self.retire(post, old)

    def _leave(self, post: Post, child: Child) -> None:
        self._leaving.append((time.monotonic() + self._drain_s + KILL_AFTER_S, post, child))

    def _stop_replacing(self, beside: Beside, reason: str) -> None:
        self._to_replace[0].is_held = False
        self._to_replace = []
        beside.rolled(reason)

    def _see_off(self, beside: Beside) -> None:
        """Note who has left, and kill who takes too long."""
        still: list[tuple[float, Post, Child]] = []
        for until, post, child in self._leaving:
            if child.process.poll() is None and time.monotonic() < until:
                still.append((until, post, child))
                continue
            if child.process.poll() is None:
                log.error("process_killed", extra={"role": post.role, "worker": child.number})
                processes.kill(child.process)
            self._note_end(post, child, beside, "replaced")
        self._leaving = still

    def _free_number(self, post: Post) -> int:
        """Return the least number that no living worker has; who is alone needs none."""
        if post.is_alone:
            return 0
        posts = [other for other in self._posts if not other.is_alone]
        taken = {child.number for other in posts for child in other.children()}
        taken |= {child.number for _, other, child in self._leaving if not other.is_alone}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def _end(self, beside: Beside) -> None:
        """Stop the gateway first and control last, so that it still collects what they spooled."""
        staying = [(post, child) for post in self._posts for child in post.children()]
        staying += [(post, child) for _, post, child in self._leaving]
        for is_alone in (False, True):
            ending = [(post, child) for post, child in staying if post.is_alone == is_alone]
            for _, child in ending:
                child.process.send_signal(signal.SIGTERM)
            until = time.monotonic() + self._drain_s + KILL_AFTER_S
            for post, child in ending:
                if not processes.end(child.process, max(0.0, until - time.monotonic())):
                    log.error("process_killed", extra={"worker": child.number})
                self._note_end(post, child, beside, "replaced")

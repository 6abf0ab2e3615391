"""A post that the parent keeps filled, and the child that fills it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from santral.app.channel import Channel, pair
from santral.app.process import Running


@dataclass
class Child:
    """One process: how to end it, and how to talk to it."""

    number: int
    process: Running
    channel: Channel
    started_at: float = field(default_factory=time.monotonic)
    heard_at: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    hung_at: float = 0.0  # when it was asked where it hangs


@dataclass
class Post:
    """What shall always run: its command line, the sockets it inherits, how often it died lately."""

    role: str
    arguments: list[str]
    pass_fds: tuple[int, ...]
    is_alone: bool = False  # two of it cannot run at one time
    child: Child | None = None
    successor: Child | None = None
    deaths: int = 0  # in a row; one that lived long begins to count anew
    start_at: float = 0.0
    is_held: bool = False  # kept empty until the one before has ended

    @property
    def is_ready(self) -> bool:
        return self.child is not None and self.child.is_ready

    def children(self) -> Iterator[Child]:
        """Who fills the post now, and who will."""
        for child in (self.child, self.successor):
            if child is not None:
                yield child

    def start(self, number: int) -> Child:
        """Start a process for this post."""
        ours, theirs = pair()
        command = self.command(number, theirs.fileno())
        # Its own session: Ctrl-C in a terminal reaches the parent alone, which stops it in order.
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                command, pass_fds=(*self.pass_fds, theirs.fileno()), start_new_session=True
            )
        return Child(number, process, Channel(ours))

    def command(self, number: int, channel: int) -> list[str]:
        own = ["--role", self.role, "--number", str(number), "--channel", str(channel)]
        return [sys.executable, "-m", "santral.app.child", *own, *self.arguments]

"""What a parent leaves to the program that replaces it by ``exec``: sockets, locks and children live on.

The process stays the same, so do its children; only who reads this afterwards may be a newer version.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import MutableMapping

import msgspec
from msgspec import Struct

#: Where the estate is found; the configuration reads no variable of this name.
VARIABLE = "_SANTRAL_ESTATE"


class Heir(Struct, frozen=True):
    """A child that lives on."""

    role: str
    number: int
    pid: int
    channel: int
    is_ready: bool


class Estate(Struct, frozen=True):
    """Everything that stays open, by file descriptor."""

    listeners: dict[str, list[int]]
    locks: list[int]
    handover: tuple[int, int]
    children: list[Heir]
    generation: int
    mark: str

    def descriptors(self) -> list[int]:
        listeners = [fd for fds in self.listeners.values() for fd in fds]
        channels = [child.channel for child in self.children]
        return [*listeners, *self.locks, *self.handover, *channels]


def inherited(env: MutableMapping[str, str]) -> Estate | None:
    """Take the estate out of the environment; None at an ordinary start."""
    text = env.pop(VARIABLE, "")
    if not text:
        return None
    estate = msgspec.json.decode(text, type=Estate)
    for fd in estate.descriptors():
        os.set_inheritable(fd, False)  # children get what is theirs, and nothing else
    return estate


def leave_to_new_program(estate: Estate) -> None:
    """Replace this program by the one that its command line names now; does not return."""
    for fd in estate.descriptors():
        os.set_inheritable(fd, True)
    # What is ignored stays ignored until the new program listens; else it would end it.
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    env = {**os.environ, VARIABLE: msgspec.json.encode(estate).decode()}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], env)  # noqa: S606 - ourselves

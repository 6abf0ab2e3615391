"""Passes connections between workers: one that retires gives away what is idle, so nothing is closed.

All workers of a machine hold both ends of one pair of sockets, and so does their parent: what was
given away waits in the kernel until some worker takes it, also while none is up.
"""

from __future__ import annotations

import os
import socket


class Handover:
    """The pair; one end to give to, one to take from."""

    def __init__(self, giving: socket.socket, taking: socket.socket) -> None:
        giving.setblocking(False)
        taking.setblocking(False)
        self._giving = giving
        self._taking = taking

    @classmethod
    def make(cls) -> Handover:
        """Return a new pair, which children inherit."""
        made = cls(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        for fd in made.fds():
            os.set_inheritable(fd, True)
        return made

    @classmethod
    def of(cls, fds: tuple[int, int]) -> Handover:
        """Return the inherited pair."""
        return cls(socket.socket(fileno=fds[0]), socket.socket(fileno=fds[1]))

    def fds(self) -> tuple[int, int]:
        return self._giving.fileno(), self._taking.fileno()

    @property
    def taking(self) -> socket.socket:
        """Readable while a connection waits."""
        return self._taking

    def give(self, fd: int) -> bool:
        """Give a connection away; False when there is no room now. The caller still closes its own."""
        try:
            socket.send_fds(self._giving, [b"c"], [fd])
        except OSError:
            return False
        return True

    def take(self) -> socket.socket | None:
        """Return a connection that waits, or None: another worker was quicker."""
        try:
            data, fds, _, _ = socket.recv_fds(self._taking, 1, 1)
        except OSError:
            return None
        if not data or not fds:
            return None
        sock = socket.socket(fileno=fds[0])
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        self._giving.close()
        self._taking.close()

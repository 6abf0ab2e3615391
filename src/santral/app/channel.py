"""What the parent and a child tell each other: short messages over a pair of sockets.

Neither side ever waits for the other: what finds no room is not sent, and whoever hears nothing acts
on that.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import msgspec
from msgspec import Struct

#: Longest message; a reason is cut to less. Chosen.
MESSAGE_BYTES = 8192
REASON_LETTERS = 2000


class Beat(Struct, frozen=True, tag="beat"):
    """The child's event loop runs."""


class Ready(Struct, frozen=True, tag="ready"):
    """The child accepts connections, with the configuration of this mark (empty: it has none)."""

    mark: str = ""


class Compiled(Struct, frozen=True, tag="compiled"):
    """The child could use the configuration it was asked to prepare."""

    round: int


class Refused(Struct, frozen=True, tag="refused"):
    """The child could not use it, or found other files than the parent had read."""

    round: int
    reason: str
    has_changed: bool = False


class Prepare(Struct, frozen=True, tag="prepare"):
    """Read and compile the configuration of this mark, and wait."""

    round: int
    mark: str


class InForce(Struct, frozen=True, tag="in_force"):
    """What was prepared in this round is in force, as the configuration of this number."""

    round: int
    generation: int


class Count(Struct, frozen=True, tag="count"):
    """The configuration that the child began with is in force, and has this number."""

    generation: int


class Forget(Struct, frozen=True, tag="forget"):
    """What was prepared in this round does not come into force."""

    round: int


class Retire(Struct, frozen=True, tag="retire"):
    """A successor is up: accept nothing more, give idle connections away, finish, and end."""


FromChild = Beat | Ready | Compiled | Refused
FromParent = Prepare | InForce | Count | Forget | Retire
Message = FromChild | FromParent

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class Channel:
    """One end of the pair."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message) -> bool:
        """Send without waiting; False when there was no room, or nobody is there any more."""
        try:
            self._sock.send(_encode(message))
        except OSError:
            return False
        return True

    def received(self) -> Iterator[Message]:
        """Yield what has come; what is no message is passed over."""
        while True:
            try:
                data = self._sock.recv(MESSAGE_BYTES)
            except OSError:  # nothing more, or the other side was killed
                return
            if not data:
                return
            try:
                yield _decode(data)
            except msgspec.DecodeError:
                continue

    def close(self) -> None:
        self._sock.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends: a message is read as it was sent, whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

"""Where a gateway worker stands in its machine: its number, its sockets, and the line to its parent."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from santral.app.channel import Beat, Channel, FromChild, Message
from santral.app.handover import Handover

#: How often a worker shows that its event loop runs, in seconds. Chosen: a few times in the shortest
#: ``server.stuck_s``.
BEAT_EVERY_S = 0.5
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_.]+")


@dataclass
class Station:
    """What a worker is given by its parent."""

    number: int = 0
    sockets: Sequence[socket.socket] = ()
    #: Those of the other workers: their queues are served while they do not come to it.
    neighbours: Sequence[socket.socket] = ()
    channel: Channel | None = None
    handover: Handover | None = None
    machine: str = field(default_factory=lambda: machine_name(socket.gethostname()))

    @property
    def name(self) -> str:
        """The same for no two living workers, also of machines that share a data folder."""
        return f"{self.machine}-w{self.number}"

    @property
    def process_name(self) -> str:
        """Different for every process that was ever this worker."""
        return process_name(self.number, os.getpid())

    def tell(self, message: FromChild) -> None:
        if self.channel is not None:
            self.channel.send(message)

    async def listen(self, take: Callable[[Message], None]) -> None:
        """Hear what the parent says, and show that the event loop runs, until cancelled."""
        channel = self.channel
        if channel is None:
            return
        loop = asyncio.get_running_loop()

        def hear() -> None:
            for message in channel.received():
                take(message)

        loop.add_reader(channel, hear)
        try:
            while True:
                channel.send(Beat())
                await asyncio.sleep(BEAT_EVERY_S)
        finally:
            loop.remove_reader(channel)


def machine_name(host: str) -> str:
    """Return a host's name as it can stand in a file's."""
    return _UNNAMEABLE.sub("_", host)[:48] or "machine"


def process_name(number: int, pid: int) -> str:
    """Return the name of one process of a worker."""
    return f"w{number}-{pid}"

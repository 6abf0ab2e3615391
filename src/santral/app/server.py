"""uvicorn as both roles run it: on sockets that are already bound, with our own logs and drain.

A server ends in one of two ways. Stopped, it closes what is idle and finishes the rest. Retired, it has
a successor: idle connections are given away and none is closed under a client, so that no request can
cross a close on its way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from santral.app.handover import Handover
from santral.errors import BadRequest
from santral.web.errors import error_body

#: Seconds a kept-alive connection may be idle. Chosen: longer than the 60 s of common proxies and the
#: 90 s of Go's clients, so that they, not we, close first.
KEEP_ALIVE_S = 100
#: What requests that a drain has ended may still take, in seconds, before uvicorn cuts them. Chosen.
END_WITHIN_S = 3
#: How often a child looks whether its parent lives, in seconds. Chosen.
PARENT_EVERY_S = 1.0
#: How often connections are taken for a worker that does not come to it, in seconds. Chosen: what a
#: client waits at most for the queue of one that was killed.
NEIGHBOUR_EVERY_S = 0.25
#: Connections taken at one look from one queue; the next look takes more. Chosen.
_AT_ONCE = 64
#: When to try again to give a connection away that is still being written to, in seconds. Chosen.
_GIVE_AGAIN_S = 0.02


#: The answer to what is no HTTP. It has no request id: there is no request.
_MALFORMED = error_body(
    BadRequest(
        "This is no HTTP request: its head is broken, or says two things about its length.",
        code="malformed_http",
    )
)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which refuses what is no HTTP as the rest of the gateway refuses, and knows
    whether its connection is between two requests."""

    #: Where idle connections go once the worker retires; set on a subclass of one server.
    handover: Handover | None = None
    is_within_message = False

    # uvicorn narrows asyncio's signature in the same way.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.handover is not None:  # accepted while we retired
            self.loop.call_soon(self._leave)

    def send_400_response(self, msg: str) -> None:
        """Answer in OpenAI's error shape and hang up."""
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(_MALFORMED)
        )
        self.transport.write(head + _MALFORMED)
        self.transport.close()

    def on_message_begin(self) -> None:
        self.is_within_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if (
            self.handover is not None
        ):  # began to arrive before we retired, or while there was no room
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self.is_within_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.handover is not None:
            self._leave()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request has come that nobody has read yet."""
        if not _has_waiting(self.transport):
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Begin to end: told to the client where that can still be said, given away where it is idle."""
        if self.handover is None:
            super().shutdown()
        elif self._is_idle():
            self._leave()
        elif self._is_answering() and not self.cycle.response_started:
            self.cycle.keep_alive = False  # the answer will say "connection: close"

    def _is_idle(self) -> bool:
        """Whether no request has begun to come in that was not answered."""
        return not self.is_within_message and not self._is_answering()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is not None and not cycle.response_complete

    def _leave(self) -> None:
        """Give the connection away as soon as nothing is under way on it."""
        transport, handover = self.transport, self.handover
        if handover is None or transport.is_closing() or not self._is_idle():
            return  # a request that is coming in will end it
        is_written = transport.get_write_buffer_size() == 0
        if is_written and handover.give(transport.get_extra_info("socket").fileno()):
            self._unset_keepalive_if_required()
            transport.abort()  # ours alone: another worker holds it open
        else:
            self.loop.call_later(_GIVE_AGAIN_S, self._leave)


class Server(uvicorn.Server):
    """Serves one ASGI application until SIGTERM or SIGINT, then drains."""

    def __init__(
        self,
        app: Any,
        drain_s: float,
        on_drain: Callable[[bool], None],
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        self._protocol: type[HttpProtocol] = type("OneServersProtocol", (HttpProtocol,), {})
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=self._protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(drain_s) + END_WITHIN_S,
            )
        )
        self._on_drain = on_drain  # told whether a successor takes over
        self._on_started = on_started
        self._arriving: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._on_drain(False)
        super().handle_exit(sig, frame)

    def retire(self, handover: Handover) -> None:
        """Accept nothing more, give idle connections away, finish the rest within the drain."""
        self._protocol.handover = handover
        self._on_drain(True)
        self.should_exit = True

    def receive(self, sock: socket.socket) -> None:
        """Serve a connection that somebody else accepted."""
        task = asyncio.get_running_loop().create_task(self._receive(sock))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def take_from(self, handover: Handover) -> None:
        """Serve connections that other workers give away, until cancelled or this one ends."""
        loop = asyncio.get_running_loop()

        def take() -> None:
            if self.should_exit:
                loop.remove_reader(handover.taking)
            elif (sock := handover.take()) is not None:
                self.receive(sock)

        loop.add_reader(handover.taking, take)
        try:
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(handover.taking)

    async def take_for(self, neighbours: Sequence[socket.socket]) -> None:
        """Serve connections that wait for workers which do not come to it, until cancelled."""
        for sock in neighbours:
            sock.setblocking(False)
        while not self.should_exit:
            for listener in neighbours:
                for _ in range(_AT_ONCE):
                    try:
                        sock, _ = listener.accept()
                    except OSError:
                        break
                    sock.setblocking(False)
                    self.receive(sock)
            await asyncio.sleep(NEIGHBOUR_EVERY_S)

    async def _receive(self, sock: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return self._protocol(self.config, self.server_state, self.lifespan.state)

        with suppress(OSError):  # the client left meanwhile
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(protocol, sock)


async def serve(
    server: Server,
    sockets: list[socket.socket],
    background: list[Callable[[], Awaitable[None]]],
    finish: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until a signal, with the background loops beside it; they end with the server, and after
    ``finish``."""
    # uvicorn raises a signal it caught once more when it is done; a drained end is a good end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(loop)) for loop in background]
        tasks.append(group.create_task(end_with_parent(server)))
        try:
            await server.serve(sockets=sockets)
            if finish is not None:
                await finish()
        finally:
            for task in tasks:
                task.cancel()


async def end_with_parent(server: Server) -> None:
    """Drain and end when the parent process is gone: nobody would restart or stop us any more."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel has no event for it
        await asyncio.sleep(PARENT_EVERY_S)
    server.handle_exit(signal.SIGTERM, None)


async def _run(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()


def _has_waiting(transport: asyncio.Transport) -> bool:
    """Whether bytes have come in that were not read yet."""
    try:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as twin:
            return bool(twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False

"""uvicorn as both roles run it: on a socket that is already bound, with our own logs and drain."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from santral.errors import BadRequest
from santral.web.errors import error_body

#: Seconds a kept-alive connection may be idle. Chosen: longer than the 60 s of common proxies, so
#: that they, not we, close first.
KEEP_ALIVE_S = 75
#: What requests that a drain has ended may still take, in seconds, before uvicorn cuts them. Chosen.
END_WITHIN_S = 3
#: How often a child looks whether its parent lives, in seconds. Chosen.
PARENT_EVERY_S = 1.0


#: The answer to what is no HTTP. It has no request id: there is no request.
_MALFORMED = error_body(
    BadRequest(
        "This is no HTTP request: its head is broken, or says two things about its length.",
        code="malformed_http",
    )
)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which refuses what is no HTTP as the rest of the gateway refuses."""

    def send_400_response(self, msg: str) -> None:
        """Answer in OpenAI's error shape and hang up."""
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(_MALFORMED)
        )
        self.transport.write(head + _MALFORMED)
        self.transport.close()


class Server(uvicorn.Server):
    """Serves one ASGI application until SIGTERM or SIGINT, then drains."""

    def __init__(self, app: Any, drain_s: float, on_drain: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=HttpProtocol,
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
        self._on_drain = on_drain

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._on_drain()
        super().handle_exit(sig, frame)


async def serve(
    server: Server, sock: socket.socket, background: list[Callable[[], Awaitable[None]]]
) -> None:
    """Serve until a signal, with the background loops beside it; they end with the server."""
    # uvicorn raises a signal it caught once more when it is done; a drained end is a good end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(loop)) for loop in background]
        tasks.append(group.create_task(end_with_parent(server)))
        try:
            await server.serve(sockets=[sock])
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

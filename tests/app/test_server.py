"""A server that is replaced gives its connections to its successor, and closes none under a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from santral.app import server as servers
from santral.app.handover import Handover
from santral.app.server import Server
from santral.app.sockets import listen

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /%s HTTP/1.1\r\nhost: a\r\n\r\n"


class Pair:
    """An old server and its successor on one socket; answers name who made them."""

    def __init__(self) -> None:
        self.handover = Handover.make()
        self.drains: list[bool] = []
        self.go_on = asyncio.Event()
        self.sockets = listen("127.0.0.1", 0, "port")
        self.old, self.new = (self._server(name) for name in ("old", "new"))
        self._tasks: list[asyncio.Future[Any]] = []
        self._clients: list[asyncio.StreamWriter] = []

    def _server(self, name: str) -> Server:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            path = scope["path"]
            if path == "/slow":
                await self.go_on.wait()
            head = {"type": "http.response.start", "status": 200, "headers": []}
            await send(head)
            if path == "/stream":
                await send({"type": "http.response.body", "body": b"first", "more_body": True})
                await self.go_on.wait()
            await send({"type": "http.response.body", "body": f"{name}.".encode()})

        return Server(app, 5.0, self.drains.append)

    async def connect(self, address: Any = None) -> Connection:
        where = address or self.sockets[0].getsockname()
        connection = await asyncio.open_connection(*where[:2])
        self._clients.append(connection[1])
        return connection

    async def replace(self) -> None:
        """Let the successor accept, then retire the old one."""
        self.begin(self.new, self.new.take_from(self.handover))
        await asyncio.sleep(0.1)
        self.old.retire(self.handover)

    def begin(self, server: Server, *beside: Awaitable[None]) -> None:
        twins = [sock.dup() for sock in self.sockets]
        for work in (server._serve(twins), *beside):
            self._tasks.append(asyncio.ensure_future(work))

    async def end(self) -> None:
        self.go_on.set()
        for client in self._clients:
            client.close()
        await asyncio.sleep(0.05)
        for server in (self.old, self.new):
            server.should_exit = True
        await asyncio.wait(self._tasks, timeout=1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.handover.close()
        for sock in self.sockets:
            sock.close()


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    made.begin(made.old)
    await asyncio.sleep(0.1)
    try:
        yield made
    finally:
        await made.end()


def on_uvloop(test: Callable[[Pair], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on the loop that the gateway runs on."""

    async def body() -> None:
        async with pair() as made:
            await asyncio.wait_for(test(made), 20)

    def wrapped() -> None:
        uvloop.run(body())

    return wrapped


async def ask(connection: Connection, path: bytes = b"") -> bytes:
    connection[1].write(REQUEST % path)
    return await read(connection)


async def read(connection: Connection) -> bytes:
    return await asyncio.wait_for(connection[0].readuntil(b"0\r\n\r\n"), 5)


@on_uvloop
async def test_idle_connections_live_on_at_the_successor(pair: Pair) -> None:
    connections = [await pair.connect() for _ in range(100)]
    for connection in connections[:60]:  # the others have not asked yet
        assert b"old." in await ask(connection)
    await pair.replace()
    while pair.old.server_state.connections:
        await asyncio.sleep(0.01)
    answers = [await ask(connection) for connection in connections]
    assert all(b"new." in answer for answer in answers)
    assert pair.drains == [True]


@on_uvloop
async def test_a_request_that_is_on_its_way_is_answered_whoever_reads_it(pair: Pair) -> None:
    connections = [await pair.connect() for _ in range(60)]
    for connection in connections:
        await ask(connection)
    await pair.replace()
    for connection in connections:  # while the old one gives away
        connection[1].write(REQUEST % b"")
        await asyncio.sleep(0.002)
    closed = 0
    for connection in connections:
        answer = await read(connection)
        assert b"200 OK" in answer
        closed += b"connection: close" in answer
    assert closed < len(connections)


@on_uvloop
async def test_what_waits_for_its_answer_is_told_to_come_on_another_connection(pair: Pair) -> None:
    slow, half = await pair.connect(), await pair.connect()
    slow[1].write(REQUEST % b"slow")
    half[1].write(b"GET / HTTP/1.1\r\nho")
    await asyncio.sleep(0.1)
    await pair.replace()
    await asyncio.sleep(0.3)
    half[1].write(b"st: a\r\n\r\n")
    pair.go_on.set()
    for connection in (slow, half):
        answer = await read(connection)
        assert b"old." in answer
        assert b"connection: close" in answer
        assert await connection[0].read() == b"", "and then it is closed"


@on_uvloop
async def test_a_stream_whose_head_is_out_goes_on_and_its_connection_is_given_away(
    pair: Pair,
) -> None:
    stream = await pair.connect()
    stream[1].write(REQUEST % b"stream")
    await stream[0].readuntil(b"first")
    await pair.replace()
    await asyncio.sleep(0.3)
    pair.go_on.set()
    assert b"old." in await read(stream)
    assert b"new." in await ask(stream), "no close can cross the next request"


@on_uvloop
async def test_what_finds_no_taker_waits_for_one(pair: Pair) -> None:
    connection = await pair.connect()
    await ask(connection)
    pair.old.retire(pair.handover)
    while pair.old.server_state.connections:
        await asyncio.sleep(0.01)
    connection[1].write(REQUEST % b"")
    await asyncio.sleep(0.1)
    pair.begin(pair.new, pair.new.take_from(pair.handover))
    assert b"new." in await read(connection)


@on_uvloop
async def test_a_queue_that_nobody_comes_to_is_served_by_neighbours(pair: Pair) -> None:
    dead = listen("127.0.0.1", 0, "port")
    pair.begin(pair.new, pair.new.take_for(dead))
    connection = await pair.connect(dead[0].getsockname())
    assert b"new." in await ask(connection)
    dead[0].close()


@on_uvloop
async def test_a_stop_closes_what_is_idle(pair: Pair) -> None:
    connection = await pair.connect()
    await ask(connection)
    pair.begin(pair.new)
    pair.old.handle_exit(15, None)
    assert await asyncio.wait_for(connection[0].read(), 5) == b""
    assert pair.drains == [False]


@on_uvloop
async def test_a_request_that_came_before_the_idle_close_is_answered(pair: Pair) -> None:
    pair.begin(pair.new)
    connection = await pair.connect()
    await ask(connection)
    (protocol,) = pair.old.server_state.connections
    assert isinstance(protocol, servers.HttpProtocol)
    connection[1].write(REQUEST % b"")
    connection[1].transport.get_write_buffer_size()
    for _ in range(1000):  # it is in the kernel, and the loop has not read it
        if servers._has_waiting(protocol.transport):
            break
    protocol.timeout_keep_alive_handler()
    assert b"old." in await read(connection)
    protocol.timeout_keep_alive_handler()
    assert await asyncio.wait_for(connection[0].read(), 5) == b""


@pytest.mark.parametrize("count", [600])
def test_more_than_the_kernel_takes_at_once_is_given_away_bit_by_bit(count: int) -> None:
    handover = Handover.make()
    given = 0
    sockets = listen("127.0.0.1", 0, "port")
    while given < count and handover.give(sockets[0].fileno()):
        given += 1
    assert 50 < given < count, "then it is full, says so, and nothing is lost"
    taken = 0
    while (sock := handover.take()) is not None:
        sock.close()
        taken += 1
    assert taken == given
    handover.close()
    sockets[0].close()

"""The client's own promises: one pool, bounded answers, a closed connection asked for once more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ProviderGarbled, ProviderTimeout, ProviderUnreachable
from santral.providers.aiohttp_client import AiohttpClient

TIMEOUTS = TimeoutsConfig(connect_s=0.3, first_delta_s=2, between_deltas_s=2, total_s=5)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


async def with_server(handle: Handler, use: Callable[[str], Awaitable[None]]) -> int:
    """Run ``use`` against a server whose connections are handled by ``handle``; count them."""
    count = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        try:
            await handle(reader, writer, count)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        server.close()
    return count


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(size))


def answering(*answers: bytes) -> Handler:
    """Answers the requests of a connection in turn, then closes it."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        for answer in answers:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return handle


async def post(client: AiohttpClient, url: str, timeouts: TimeoutsConfig = TIMEOUTS) -> bytes:
    response = await client.post(url, {}, b"{}", timeouts)
    try:
        return await response.read()
    finally:
        await response.close()


def test_a_connection_is_used_again() -> None:
    async def use(url: str) -> None:
        client = AiohttpClient()
        assert [await post(client, url) for _ in range(3)] == [b"ok"] * 3
        await client.close()

    assert asyncio.run(with_server(answering(OK, OK, OK), use)) == 1


def test_a_kept_connection_that_the_provider_closed_is_replaced_unseen() -> None:
    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(OK)
        if number == 1:  # takes the second request and closes without a byte
            await read_request(reader)

    async def use(url: str) -> None:
        client = AiohttpClient()
        assert await post(client, url) == b"ok"
        assert await post(client, url) == b"ok"
        await client.close()

    assert asyncio.run(with_server(handle, use)) == 2


def test_a_fresh_connection_that_closes_is_not_asked_twice() -> None:
    async def use(url: str) -> None:
        client = AiohttpClient()
        with pytest.raises(ProviderUnreachable):
            await post(client, url)
        await client.close()

    assert asyncio.run(with_server(answering(b""), use)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\ncontent-le",
    ],
)
def test_a_cut_answer_is_no_answer(answer: bytes) -> None:
    async def use(url: str) -> None:
        client = AiohttpClient()
        with pytest.raises(ProviderUnreachable):
            await post(client, url)
        await client.close()

    asyncio.run(with_server(answering(answer), use))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n",
    ],
)
def test_bytes_that_are_not_http_are_garbled(answer: bytes) -> None:
    async def use(url: str) -> None:
        client = AiohttpClient()
        with pytest.raises((ProviderGarbled, ProviderUnreachable)):
            await post(client, url)
        await client.close()

    asyncio.run(with_server(answering(answer), use))


def test_an_answer_over_the_bound_is_refused() -> None:
    async def use(url: str) -> None:
        client = AiohttpClient(max_answer_bytes=1000)
        with pytest.raises(ProviderGarbled, match="1000 bytes"):
            await post(client, url)
        await client.close()

    big = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"a" * 5000
    asyncio.run(with_server(answering(big), use))


def test_nobody_listening_is_said_without_the_address() -> None:
    async def use() -> None:
        client = AiohttpClient()
        with pytest.raises(ProviderUnreachable) as caught:
            await post(client, "http://127.0.0.1:1/")
        assert "127.0.0.1" not in caught.value.message
        assert "refused" in caught.value.message
        await client.close()

    asyncio.run(use())


def test_waiting_for_a_free_connection_counts_as_connecting() -> None:
    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        await reader.read()  # until the client leaves

    async def use(url: str) -> None:
        client = AiohttpClient(max_connections=1)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(post(client, url))
            await asyncio.sleep(0)
            with pytest.raises(ProviderTimeout) as caught:
                await post(client, url)
            assert caught.value.phase == "connect"
            first.cancel()
        await client.close()

    asyncio.run(with_server(handle, use))


def test_cookies_and_redirects_are_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    heads: list[bytes] = []

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        for _ in range(2):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(2)
            writer.write(moved)

    async def use(url: str) -> None:
        client = AiohttpClient()
        for _ in range(2):
            response = await client.post(url, {}, b"{}", TIMEOUTS)
            assert response.status == 302
            await response.read()
            await response.close()
        await client.close()

    asyncio.run(with_server(handle, use))
    assert len(heads) == 2
    assert b"cookie" not in heads[1].lower()


def test_a_finished_stream_leaves_its_connection_for_the_next() -> None:
    stream = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        b"6\r\nhello\n\r\n"
    )

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        for _ in range(2):
            await read_request(reader)
            writer.write(stream)
            await asyncio.sleep(0.01)
            writer.write(b"0\r\n\r\n")

    async def use(url: str) -> None:
        client = AiohttpClient()
        for _ in range(2):
            response = await client.post(url, {}, b"{}", TIMEOUTS, is_streaming=True)
            assert await anext(response.chunks()) == b"hello\n"
            await response.finish()
            await response.close()
        await client.close()

    assert asyncio.run(with_server(handle, use)) == 1


def test_a_stream_that_never_ends_its_body_is_closed_soon() -> None:
    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello\n\r\n")
        assert await asyncio.wait_for(reader.read(), 2) == b""

    async def use(url: str) -> None:
        client = AiohttpClient()
        response = await client.post(url, {}, b"{}", TIMEOUTS, is_streaming=True)
        assert await anext(response.chunks()) == b"hello\n"
        await asyncio.wait_for(response.finish(), 1)
        await response.close()
        await client.close()

    asyncio.run(with_server(handle, use))


def test_an_answer_given_before_the_request_was_read_is_taken() -> None:
    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await reader.read()  # until the client closes: what it did not send makes it no use

    async def use(url: str) -> None:
        client = AiohttpClient()
        response = await client.post(url, {}, b"a" * 32 * 1024 * 1024, TIMEOUTS)
        assert (response.status, await response.read()) == (413, b"no")
        await response.close()
        await client.close()

    asyncio.run(with_server(handle, use))


def test_a_header_with_a_line_break_is_not_sent() -> None:
    async def use(url: str) -> None:
        client = AiohttpClient()
        with pytest.raises(ProviderUnreachable, match="line break"):
            await client.post(url, {"authorization": "Bearer a\r\nx: y"}, b"{}", TIMEOUTS)
        await client.close()

    assert asyncio.run(with_server(answering(OK), use)) == 0

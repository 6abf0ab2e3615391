"""The connection to Redis: replies in order, nothing waits for ever, and no reply is taken for another."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.redis_server import RedisServer

from santral.errors import ConfigError
from santral.quota.redis.address import Address, read_address
from santral.quota.redis.pipe import Pipe, RedisDown, RedisLate, RedisRefused

pytestmark = [pytest.mark.anyio]

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def impostor(talk: Talk) -> AsyncGenerator[Address]:
    """Something that listens and is no Redis."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.mark.redis
async def test_replies_come_back_in_their_order(redis: RedisServer) -> None:
    pipe = await Pipe.open(read_address(redis.url), 1.0)
    asked = [pipe.send(("ECHO", str(n))) for n in range(500)]
    assert [await reply for reply in asked] == [str(n).encode() for n in range(500)]
    with pytest.raises(RedisRefused):
        await pipe.ask("NOSUCHCOMMAND")
    assert await pipe.ask("ECHO", "still there") == b"still there"
    pipe.close()
    with pytest.raises(RedisDown):
        await pipe.ask("PING")


@pytest.mark.redis
async def test_a_cancelled_question_leaves_the_others_their_replies(redis: RedisServer) -> None:
    pipe = await Pipe.open(read_address(redis.url), 1.0)
    asked = [pipe.send(("ECHO", str(n))) for n in range(10)]
    asked[3].cancel()
    rest = [reply for n, reply in enumerate(asked) if n != 3]
    assert [await reply for reply in rest] == [str(n).encode() for n in range(10) if n != 3]
    pipe.close()


@pytest.mark.redis
async def test_silence_ends_every_question_and_the_connection(redis: RedisServer) -> None:
    pipe = await Pipe.open(read_address(redis.url), 0.05)
    redis.pause()
    try:
        asked = [pipe.send(("PING",)) for _ in range(20)]
        done = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 2)
        assert {type(error) for error in done} == {RedisLate}
        assert not pipe.is_open
    finally:
        redis.resume()


@given(st.binary(min_size=1, max_size=60))
def test_what_is_no_redis_is_noticed(noise: bytes) -> None:
    """Whatever answers: a reply that is not whole is none, and nothing waits for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(100)
            writer.write(noise)
            await writer.drain()
            writer.close()

    async def ask() -> None:
        async with impostor(talk) as address:
            pipe = await Pipe.open(address, 0.3)
            with contextlib.suppress(RedisDown, RedisRefused):
                reply = await asyncio.wait_for(pipe.ask("PING"), 2)
                whole = hiredis.Reader()
                whole.feed(noise)
                assert reply == whole.gets(), "only a whole reply is one"
            pipe.close()

    asyncio.run(ask())


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+HELLO\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with impostor(talk) as address:
        pipe = await Pipe.open(address, 0.5)
        for _ in range(200):
            if not pipe.is_open:
                break
            await asyncio.sleep(0.01)
        assert "nobody had asked" in pipe.failure


@pytest.mark.redis
async def test_a_password_a_user_and_a_database_are_given(redis: RedisServer) -> None:
    redis.ask("ACL", "SETUSER", "santral", "on", ">geheim", "~*", "+@all")
    for url, is_in in (
        (f"redis://santral:geheim@127.0.0.1:{redis.port}/3", True),
        (f"redis://santral:wrong@127.0.0.1:{redis.port}/3", False),
    ):
        if not is_in:
            with pytest.raises(RedisDown) as caught:
                await Pipe.open(read_address(url), 1.0)
            assert "wrong" not in str(caught.value).replace("WRONGPASS", "")
            continue
        pipe = await Pipe.open(read_address(url), 1.0)
        assert b"db=3" in await pipe.ask("CLIENT", "INFO")
        assert b"user=santral" in await pipe.ask("CLIENT", "INFO")
        pipe.close()


async def test_certificates_are_checked(tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=redis.example", "-keyout", "k.pem", "-out", "c.pem"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is missing; install it with: apt-get install -y openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(RedisDown, match="CERTIFICATE_VERIFY_FAILED"):
        await Pipe.open(read_address(f"rediss://127.0.0.1:{port}"), 1.0)
    server.close()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://h", ("h", 6379, "", 0, False)),
        ("redis://h:7/2", ("h", 7, "", 2, False)),
        ("rediss://u:p%40ss@h", ("h", 6379, "", 0, True)),
        ("unix:///run/redis.sock?db=4", ("", 6379, "/run/redis.sock", 4, False)),
        ("redis://[::1]:9", ("::1", 9, "", 0, False)),
    ],
)
def test_addresses(url: str, place: tuple[str, int, str, int, bool]) -> None:
    found = read_address(url)
    assert (found.host, found.port, found.path, found.database, found.is_tls) == place
    assert found.password in ("", "p@ss")
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    "url", ["http://h", "redis://", "redis://h:port", "redis://h/name", "h:6379", ""]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"limits\.url"):
        read_address(url)

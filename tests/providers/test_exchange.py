"""An exchange keeps the connection after a good end, closes it after any other, and rests a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from santral.errors import ProviderBusy, ProviderFailed, ProviderUnreachable
from santral.providers.exchange import Exchange
from santral.providers.keys import KeyRotation, ProviderKey


class Answer:
    """An answer of two pieces that is cut after them, or not; it notes what is done with it."""

    status = 200

    def __init__(self, kind: str = "text/event-stream", *, is_cut: bool = False) -> None:
        self.headers: Mapping[str, str] = {"content-type": kind}
        self.is_cut = is_cut
        self.done: list[str] = []

    async def read(self) -> bytes:
        return b"onetwo"

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"
        if self.is_cut:
            raise ProviderUnreachable("cut")

    def delta_came(self) -> None:
        self.done.append("delta")

    async def finish(self) -> None:
        self.done.append("finish")

    async def close(self) -> None:
        self.done.append("close")


class Reader:
    def __init__(self, *, is_finished: bool) -> None:
        self.is_finished = is_finished


def two_keys() -> KeyRotation:
    return KeyRotation("openai", [ProviderKey(n, f"sk-{n}", {}) for n in (1, 2)], lambda: 1000.0)


def exchange(answer: Answer, keys: KeyRotation | None = None) -> Exchange:
    return Exchange(answer, ProviderKey(1, "sk-1", {}), keys or two_keys(), "large")


def test_a_good_end_keeps_the_connection() -> None:
    answer = Answer()

    async def run() -> None:
        async with exchange(answer):
            pass

    asyncio.run(run())
    assert answer.done == ["finish", "close"]


@pytest.mark.parametrize(
    "error", [ProviderFailed("broken"), asyncio.CancelledError(), GeneratorExit(), ValueError()]
)
def test_any_other_end_closes_it_and_passes_on(error: BaseException) -> None:
    answer = Answer()

    async def run() -> None:
        async with exchange(answer):
            raise error

    with pytest.raises(type(error)):
        asyncio.run(run())
    assert answer.done == ["close"]


@pytest.mark.parametrize(
    ("error", "left"), [(ProviderBusy("slow down"), {2}), (ProviderFailed("broken"), {1, 2})]
)
def test_a_key_that_is_throttled_inside_a_200_rests(error: Exception, left: set[int]) -> None:
    keys = two_keys()

    async def run() -> None:
        async with exchange(Answer(), keys):
            raise error

    with pytest.raises(type(error)):
        asyncio.run(run())
    assert {keys.take("large").number for _ in range(2)} == left


@pytest.mark.parametrize("is_cut", [False, True])
def test_what_is_whole_may_be_cut_after_it(is_cut: bool) -> None:
    one, reader = exchange(Answer(is_cut=is_cut)), Reader(is_finished=True)

    async def run() -> list[bytes | None]:
        return [await one.next(reader) for _ in range(3)]

    assert asyncio.run(run()) == [b"one", b"two", None]


def test_what_is_not_whole_is_not() -> None:
    one, reader = exchange(Answer(is_cut=True)), Reader(is_finished=False)

    async def run() -> None:
        for _ in range(3):
            await one.next(reader)

    with pytest.raises(ProviderUnreachable):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "is_one"),
    [
        ("text/event-stream; charset=utf-8", True),
        (" Text/Event-Stream", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_an_event_stream_is_known_by_its_type(kind: str, is_one: bool) -> None:
    assert exchange(Answer(kind)).is_event_stream is is_one

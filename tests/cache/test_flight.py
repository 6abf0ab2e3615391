"""A shared answer: what listeners hear, when they take over, and what is never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.cache.flight import MAX_FLIGHT_BYTES, MAX_TAKEOVERS, Flight, Flights, LeaderGone
from santral.errors import BadRequest, ProviderFailed
from santral.wire.delta import ChoiceDelta, Delta

pytestmark = pytest.mark.anyio


def delta(text: str) -> Delta:
    return Delta(choices=(ChoiceDelta(text=text),))


class Listener:
    """Follows a flight in a task, and writes down what it hears."""

    def __init__(self, flight: Flight, wait_s: float = 5, *, can_retract: bool = False) -> None:
        self.heard = ""
        self.outcome: object = None
        self._flight, self._wait_s, self._can_retract = flight, wait_s, can_retract

    async def __call__(self) -> None:
        try:
            self.outcome = await self._flight.follow(
                self._hear, self._wait_s, can_retract=self._can_retract
            )
        except Exception as error:
            self.outcome = error

    async def _hear(self, heard: Delta) -> None:
        self.heard += heard.choices[0].text
        await asyncio.sleep(0)


@given(
    st.lists(st.sampled_from(["add", "publish", "listen", "pause", "restart"]), max_size=25),
    st.booleans(),
)
def test_everybody_hears_exactly_what_was_published(steps: list[str], ends_well: bool) -> None:
    scene = Scene()
    asyncio.run(scene.play(steps, ends_well))
    expected = True if ends_well else ProviderFailed if scene.published else False
    for listener in scene.listeners:
        assert listener.heard == scene.published
        outcome = listener.outcome
        assert (type(outcome) if isinstance(outcome, Exception) else outcome) == expected
    assert scene.flight.listeners == 0
    assert not scene.flight._waiting


class Scene:
    """A flight, what was published of it, and who listens."""

    def __init__(self) -> None:
        self.flight = Flight(is_streaming=True)
        self.listeners: list[Listener] = []
        self.published = self.added = ""

    async def play(self, steps: list[str], ends_well: bool) -> None:
        async with asyncio.TaskGroup() as self.group:
            for number, step in enumerate(steps):
                await getattr(self, step)(f"{number} ")
            await asyncio.sleep(0)
            if ends_well:
                self.flight.succeed(7)
                self.published += self.added
            else:
                self.flight.fail(ProviderFailed("It broke."))

    async def add(self, text: str) -> None:
        self.flight.add(delta(text))
        self.added += text

    async def publish(self, _: str) -> None:
        self.flight.publish()
        self.published, self.added = self.published + self.added, ""

    async def restart(self, _: str) -> None:
        self.flight.restart()
        self.added = ""

    async def listen(self, _: str) -> None:
        self.listeners.append(Listener(self.flight))
        self.group.create_task(self.listeners[-1]())

    async def pause(self, _: str) -> None:
        await asyncio.sleep(0)


async def outcome_of(
    end: Callable[[Flight], None], *, heard: str = "", takeovers: int = 0
) -> object:
    flight = Flight(is_streaming=True, takeovers=takeovers)
    listener = Listener(flight)
    async with asyncio.TaskGroup() as group:
        group.create_task(listener())
        if heard:
            flight.add(delta(heard))
            flight.publish()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        end(flight)
    return listener.outcome


async def test_who_made_the_answer_may_be_ended_any_number_of_times() -> None:
    gone = asyncio.CancelledError()
    assert await outcome_of(lambda f: f.fail(gone), takeovers=MAX_TAKEOVERS) is False
    assert isinstance(await outcome_of(lambda f: f.fail(gone), heard="a"), LeaderGone)


async def test_a_failure_is_tried_anew_once_and_only_if_that_may_help() -> None:
    broke = ProviderFailed("It broke.")
    assert await outcome_of(lambda f: f.fail(broke)) is False
    assert await outcome_of(lambda f: f.fail(broke), takeovers=MAX_TAKEOVERS) is broke
    assert await outcome_of(lambda f: f.fail(broke), heard="a") is broke
    wrong = BadRequest("No.")
    assert await outcome_of(lambda f: f.fail(wrong)) is wrong


async def test_silence_has_an_end() -> None:
    listener = Listener(Flight(is_streaming=True), wait_s=0.01)
    await listener()
    assert isinstance(listener.outcome, TimeoutError)


async def test_the_last_listener_who_leaves_is_told_of_once() -> None:
    told: list[str] = []
    flight = Flight(is_streaming=True, abandon=lambda: told.append("left"))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(Listener(flight)()) for _ in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        assert not told
        tasks[1].cancel()
    assert told == ["left"]


def test_who_may_join() -> None:
    flights: Flights[str] = Flights()
    stream, whole = Flight(is_streaming=True), Flight(is_streaming=False)
    flights.open("k", whole)
    assert flights.find("k", is_streaming=True) is None
    assert flights.find("k", is_streaming=False) is whole
    flights.open("k", stream)
    assert flights.find("k", is_streaming=False) is stream
    flights.close("k", whole)
    assert flights.find("k", is_streaming=True) is stream, "it is another's"
    stream.is_blocked = True
    assert flights.find("k", is_streaming=True) is None
    stream.is_blocked = False
    stream.add(delta("x" * MAX_FLIGHT_BYTES))
    assert flights.find("k", is_streaming=True) is None, "the buffer is full"
    flights.close("k", stream)
    assert len(flights) == 0
    assert stream.is_over

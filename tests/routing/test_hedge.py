"""A second attempt beside a slow one: the first content wins, the other ends, nothing is left over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.parts import Clock, deployment

from santral.errors import OutputRefused, ProviderError, ProviderFailed, ProviderRefusedRequest
from santral.routing.fallback import Fallback, Plan
from santral.routing.health import Health
from santral.routing.hedge import AT_LEAST, Hedging, Pace, Race
from santral.routing.route import Deployment, HedgeSettings, Recovery

SOON = 0.01  # a hedge begins after this much silence
Script = Callable[["Calls", str, Race], Awaitable[None]]


class Calls:
    """What happened in a race."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts
        self.begun: list[tuple[str, str]] = []
        self.poured: list[str] = []
        self.open: set[str] = set()
        self.lost: list[str] = []

    async def attempt(self, target: Deployment, purpose: str, race: Race | None) -> None:
        assert race is not None
        name = target.name
        self.begun.append((name, purpose))
        self.open.add(name)
        try:
            await self.scripts[name](self, name, race)
        except asyncio.CancelledError:
            if race.is_lost:
                self.lost.append(name)
            raise
        finally:
            self.open.discard(name)


def answers(after_s: float = 0.0, pours_s: float = 0.0) -> Script:
    async def script(calls: Calls, name: str, race: Race) -> None:
        await asyncio.sleep(after_s)
        await race.win()
        await asyncio.sleep(pours_s)
        calls.poured.append(name)

    return script


def fails(error: Exception, after_s: float = 0.0, *, begins: bool = False) -> Script:
    async def script(calls: Calls, name: str, race: Race) -> None:
        await asyncio.sleep(after_s)
        if begins:
            await race.win()
        raise error

    return script


async def silent(calls: Calls, name: str, race: Race) -> None:
    await asyncio.sleep(60)


def raced(calls: Calls, *, spare: str | None = "b") -> Race:
    """Run a race between a and b; afterwards no task and no call is left."""

    async def body() -> Race:
        found = None if spare is None else deployment(spare)
        race = Race(calls.attempt, lambda: found, SOON)
        try:
            await race.run(deployment("a"))
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not calls.open
        return race

    return asyncio.run(body())


def test_who_is_quick_is_asked_alone() -> None:
    calls = Calls(a=answers(), b=answers())
    raced(calls)
    assert calls.begun == [("a", "")]


def test_a_slow_answer_after_quick_content_is_not_hedged() -> None:
    calls = Calls(a=answers(pours_s=5 * SOON), b=answers())
    raced(calls)
    assert calls.begun == [("a", "")]


def test_the_spare_wins_over_who_is_silent_and_that_one_is_closed() -> None:
    calls = Calls(a=silent, b=answers(pours_s=SOON))
    raced(calls)
    assert calls.begun == [("a", ""), ("b", "hedge")]
    assert (calls.poured, calls.lost) == (["b"], ["a"])


def test_the_first_wins_when_its_content_comes_first_after_all() -> None:
    calls = Calls(a=answers(3 * SOON), b=silent)
    raced(calls)
    assert (calls.poured, calls.lost) == (["a"], ["b"])


def test_of_two_that_have_content_at_once_one_answers() -> None:
    both = asyncio.Event()

    async def together(calls: Calls, name: str, race: Race) -> None:
        if name == "b":
            both.set()
        await both.wait()
        await race.win()
        calls.poured.append(name)

    calls = Calls(a=together, b=together)
    raced(calls)
    assert len(calls.poured) == 1
    assert len(calls.lost) == 1


def test_one_that_fails_leaves_the_race_to_the_other() -> None:
    calls = Calls(a=fails(ProviderFailed("a"), 2 * SOON), b=answers(4 * SOON))
    raced(calls)
    assert calls.poured == ["b"]
    calls = Calls(a=answers(4 * SOON), b=fails(ProviderFailed("b")))
    raced(calls)
    assert calls.poured == ["a"]


def test_when_both_fail_both_errors_are_kept() -> None:
    calls = Calls(a=fails(ProviderFailed("a"), 3 * SOON), b=fails(ProviderFailed("b")))
    with pytest.raises(ProviderFailed, match=r"^a$"):
        raced(calls)
    assert len(calls.begun) == 2


def test_without_a_spare_the_first_goes_on() -> None:
    calls = Calls(a=answers(3 * SOON))
    raced(calls, spare=None)
    assert calls.poured == ["a"]


def test_an_error_of_the_winner_or_of_ours_is_the_end() -> None:
    calls = Calls(a=silent, b=fails(ProviderFailed("b"), begins=True))
    with pytest.raises(ProviderFailed, match=r"^b$"):
        raced(calls)
    refused = OutputRefused("no", check="pii", reason="found")
    calls = Calls(a=silent, b=fails(refused, begins=True))
    with pytest.raises(OutputRefused):
        raced(calls)


def test_a_client_that_leaves_ends_both() -> None:
    calls = Calls(a=silent, b=silent)

    async def body() -> None:
        race = Race(calls.attempt, lambda: deployment("b"), SOON)
        task = asyncio.create_task(race.run(deployment("a")))
        while len(calls.open) < 2:
            await asyncio.sleep(SOON / 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(body())
    assert not calls.open
    assert not calls.lost, "nobody won"


def hedged(*, share: float = 1.0, after_s: float | None = SOON) -> Plan:
    settings = HedgeSettings(after_s=after_s, max_extra_share=share)
    return Plan(route="r", recovery=Recovery(hedge=settings))


def over(parts: Fallback, calls: Walked, plan: Plan, *names: str) -> None:
    async def body() -> None:
        ladder = map(deployment, names)
        await parts.over(
            ladder,
            calls.attempt_or_fallback,
            lambda: plan,
            may_continue=lambda: True,
            is_hedged=True,
        )

    asyncio.run(body())


class Walked(Calls):
    """Attempts in a race and after it."""

    async def attempt_or_fallback(
        self, target: Deployment, purpose: str, race: Race | None
    ) -> None:
        if race is not None:
            await self.attempt(target, purpose, race)
            return
        self.begun.append((target.name, purpose))
        self.poured.append(target.name)


class Never:
    def random(self) -> float:
        return 0.0


def test_after_a_lost_race_the_next_deployment_follows() -> None:
    failed = ProviderFailed("x")
    calls = Walked(a=fails(failed, 2 * SOON), b=fails(failed))
    clock = Clock()
    parts = Fallback(Health(clock), Never(), clock)
    over(parts, calls, hedged(), "a", "b", "c")
    assert calls.begun[:2] == [("a", ""), ("b", "hedge")]
    assert calls.begun[2] in [("a", "retry"), ("b", "retry")], "a server error may pass"


def test_hedges_stay_within_their_share_of_the_routes_requests() -> None:
    clock = Clock()
    parts = Fallback(Health(clock), Never(), clock)
    hedges = 0
    for _ in range(40):
        calls = Walked(a=answers(SOON * 1.5), b=silent)
        over(parts, calls, hedged(share=0.05), "a", "b")
        hedges += len(calls.begun) - 1
    assert 1 <= hedges <= 1 + 0.05 * 40


@given(st.lists(st.booleans(), max_size=200), st.sampled_from([0.01, 0.05, 0.5]))
def test_the_share_of_hedges_holds_under_any_history(slow: list[bool], share: float) -> None:
    hedging = Hedging(Clock())
    settings = HedgeSettings(max_extra_share=share)
    made = 0
    for is_slow in slow:
        hedging.began("r", settings)
        made += is_slow and hedging.may_hedge("r")
    assert made <= 1 + share * len(slow) + 1e-6


def test_p95_is_measured_for_streams_and_whole_answers_apart() -> None:
    pace = Pace()
    for tenth in range(1, 101):
        pace.note("d", tenth / 10, is_streaming=True)
    assert pace.p95("d", is_streaming=True) == pytest.approx(9.6)
    assert pace.p95("d", is_streaming=False) is None
    for _ in range(AT_LEAST - 1):
        pace.note("e", 1.0, is_streaming=False)
    assert pace.p95("e", is_streaming=False) is None, "too few to know"


def test_without_a_measured_p95_nothing_is_hedged() -> None:
    clock = Clock()
    parts = Fallback(Health(clock), Never(), clock)
    calls = Walked(a=answers(), b=answers())
    over(parts, calls, hedged(after_s=None), "a", "b")
    assert calls.begun == [("a", "")]


def test_a_request_that_is_refused_is_refused_in_a_race_too() -> None:
    calls = Calls(a=fails(ProviderRefusedRequest("no")), b=answers())
    with pytest.raises(ProviderError, match=r"^no$"):
        raced(calls)
    assert calls.begun == [("a", "")]

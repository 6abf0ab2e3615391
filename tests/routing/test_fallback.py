"""The next deployment is asked when that may help, and the error says what was tried."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.parts import Clock, deployment

from santral.errors import (
    ContentPolicyRefused,
    ContextWindowExceeded,
    ModelNotFound,
    Overloaded,
    ParameterNotSupported,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
    ProviderUnreachable,
    QuotaExceeded,
)
from santral.routing import fallback
from santral.routing.budget import BudgetSettings, RetryBudget
from santral.routing.fallback import Fallback, Plan, first_content
from santral.routing.health import Health, HealthSettings
from santral.routing.hedge import Race
from santral.routing.retry import RetrySettings
from santral.routing.route import Deployment, Recovery
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta

Outcome = Exception | str
NO_RETRY = RetrySettings(retries=0)


class Tried:
    """What became of one request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.purposes: list[str] = []
        self.pauses: list[float] = []
        self.answer = ""


async def go(
    outcomes: Mapping[str, Outcome | list[Outcome]],
    tried: Tried,
    *,
    ladder: Sequence[str] = (),
    may_continue: bool = True,
    recovery: Recovery | None = None,
    left_s: float = math.inf,
    retry: RetrySettings = NO_RETRY,
    parts: Fallback | None = None,
    clock: Clock | None = None,
) -> None:
    """Try deployments by name with the given outcomes; a list is one outcome a call."""
    time = clock or Clock()

    async def sleep(seconds: float) -> None:
        tried.pauses.append(seconds)
        time.now += seconds

    fallback = parts or Fallback(Health(time), Middle(), time, sleep=sleep)
    left = {n: [*o] if isinstance(o, list) else [o] for n, o in outcomes.items()}

    async def attempt(candidate: Deployment, purpose: str, race: Race | None) -> None:
        tried.asked.append(candidate.name)
        tried.purposes.append(purpose)
        queue = left[candidate.name]
        outcome = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(outcome, ProviderError):
            fallback.health.failed(candidate.name, outcome)
        if isinstance(outcome, Exception):
            raise outcome
        fallback.health.succeeded(candidate.name)
        tried.answer = outcome

    ends_at = time.now + left_s

    def plan() -> Plan:
        return Plan(route="r", recovery=recovery or Recovery(), left_s=ends_at - time.now)

    candidates = [with_retry(name, retry) for name in ladder or outcomes]
    await fallback.over(candidates, attempt, plan, may_continue=lambda: may_continue)


def run(outcomes: Mapping[str, Outcome], *, may_continue: bool = True) -> tuple[str, list[str]]:
    """Try deployments without retries; return the answer and who was asked."""
    tried = Tried()
    asyncio.run(go(outcomes, tried, may_continue=may_continue))
    return tried.answer, tried.asked


class Middle:
    """Draws the middle."""

    def random(self) -> float:
        return 0.5


def with_retry(name: str, retry: RetrySettings) -> Deployment:
    return msgspec.structs.replace(deployment(name), retry=retry)


def test_the_first_that_answers_is_the_last_that_is_asked() -> None:
    assert run({"a": ProviderFailed("no"), "b": "yes", "c": "yes"}) == ("yes", ["a", "b"])


def test_a_context_window_is_tried_on_the_next_model() -> None:
    assert run({"a": ContextWindowExceeded("too long"), "b": "yes"})[0] == "yes"


def test_a_refused_request_is_not_tried_again() -> None:
    error = ProviderRefusedRequest("bad parameter")
    with pytest.raises(ProviderRefusedRequest, match=r"^bad parameter$"):
        run({"a": error, "b": "yes"})
    assert error.deployment == "a"


def test_nothing_is_tried_again_once_something_was_sent() -> None:
    with pytest.raises(ProviderFailed, match=r"^no$"):
        run({"a": ProviderFailed("no"), "b": "yes"}, may_continue=False)


def test_what_is_not_a_deployments_fault_passes_through() -> None:
    with pytest.raises(QuotaExceeded):
        run({"a": QuotaExceeded("over", retry_after_s=1), "b": "yes"})


def test_a_single_failure_keeps_its_own_words() -> None:
    with pytest.raises(ProviderFailed, match=r"^it broke$"):
        run({"a": ProviderFailed("it broke")})


@pytest.mark.parametrize(
    ("errors", "winner"),
    [
        ([ProviderFailed("x"), ContextWindowExceeded("x"), ProviderBusy("x")], 1),
        ([ProviderRefusedKey("x"), ProviderFailed("x")], 1),
        ([ProviderGarbled("x"), ProviderTimeout("x", phase="connect")], 1),
        ([ProviderTimeout("x", phase="connect"), ProviderBusy("x")], 1),
        ([ProviderBusy("x", retry_after_s=9), ProviderBusy("x", retry_after_s=2)], 1),
        ([ProviderFailed("x"), ProviderFailed("x")], 0),
    ],
)
def test_when_all_fail_the_most_useful_error_is_raised(
    errors: list[ProviderError], winner: int
) -> None:
    with pytest.raises(ProviderError) as caught:
        run(dict(zip("abc", errors, strict=False)))
    assert caught.value is errors[winner]


def test_when_all_fail_the_message_lists_who_was_tried_and_their_codes() -> None:
    with pytest.raises(ProviderBusy) as caught:
        run({"main": ProviderFailed("stack trace"), "spare": ProviderBusy("Wait a bit.")})
    assert caught.value.message == str(caught.value)
    assert caught.value.message == (
        "No deployment answered: main (provider_failed), spare (provider_rate_limited). Wait a bit."
    )


def test_a_route_without_deployments_says_so() -> None:
    with pytest.raises(Overloaded, match="no deployment"):
        run({})


def text(content: str) -> Delta:
    return Delta(choices=(ChoiceDelta(text=content),))


ROLE = text("")
END = Delta(choices=(ChoiceDelta(finish_reason="stop"),))
USAGE = Delta()
TOOL = Delta(choices=(ChoiceDelta(tool_calls=(ToolCallDelta(name="f"),)),))


async def source(*items: Delta | Exception) -> AsyncIterator[Delta]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


def split(*items: Delta | Exception) -> tuple[list[Delta], list[Delta]]:
    async def body() -> tuple[list[Delta], list[Delta]]:
        held, rest = await first_content(source(*items))
        return held, [delta async for delta in rest]

    return asyncio.run(body())


@pytest.mark.parametrize("first", [text("Hi"), TOOL, END])
def test_deltas_are_held_up_to_the_first_that_says_something(first: Delta) -> None:
    assert split(ROLE, ROLE, first, text("more"), USAGE) == (
        [ROLE, ROLE, first],
        [text("more"), USAGE],
    )


def test_an_answer_without_content_is_an_answer() -> None:
    assert split(ROLE, END, USAGE) == ([ROLE, END], [USAGE])
    assert split() == ([], [])


def test_a_failure_before_content_is_raised_at_once() -> None:
    with pytest.raises(ProviderFailed):
        asyncio.run(first_content(source(ROLE, ProviderFailed("no"))))


def test_a_failure_after_content_belongs_to_the_rest() -> None:
    async def body() -> None:
        held, rest = await first_content(source(ROLE, text("Hi"), ProviderFailed("no")))
        assert held == [ROLE, text("Hi")]
        with pytest.raises(ProviderFailed):
            await anext(rest)

    asyncio.run(body())


def test_endless_events_without_content_are_garbled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "MAX_HELD", 5)
    with pytest.raises(ProviderGarbled, match="5 events"):
        split(*[ROLE] * 6)


AGAIN = RetrySettings(retries=2, backoff_s=0.2, max_backoff_s=5.0)


def tried_with(outcomes: Mapping[str, Outcome | list[Outcome]], **settings: Any) -> Tried:
    """Return what was done for a request that is answered."""
    tried = Tried()
    settings.setdefault("retry", AGAIN)
    asyncio.run(go(outcomes, tried, **settings))
    return tried


def failed_with(
    outcomes: Mapping[str, Outcome | list[Outcome]], **settings: Any
) -> tuple[Tried, ProviderError]:
    """Return what was done for a request that nobody answers, and its error."""
    tried = Tried()
    settings.setdefault("retry", AGAIN)
    with pytest.raises(ProviderError) as caught:
        asyncio.run(go(outcomes, tried, **settings))
    return tried, caught.value


@pytest.mark.parametrize("error", [ProviderFailed("x"), ProviderUnreachable("x")])
def test_what_may_pass_is_tried_again_on_the_same_deployment_after_a_growing_pause(
    error: ProviderError,
) -> None:
    tried = tried_with({"a": [error, error, "yes"], "b": "no"})
    assert tried.asked == ["a", "a", "a"]
    assert tried.purposes == ["", "retry", "retry"]
    assert tried.pauses == [0.1, 0.2], "half of 0.2 and of 0.4: the draw is the middle"


@pytest.mark.parametrize(
    "error",
    [
        ProviderTimeout("x", phase="first_delta"),
        ProviderGarbled("x"),
        ProviderRefusedKey("x"),
        ContextWindowExceeded("x"),
        ContentPolicyRefused("x"),
        ModelNotFound("x"),
        ParameterNotSupported("x"),
        ProviderBusy("x"),
        ProviderBusy("x", retry_after_s=1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_pass_by_itself_goes_to_the_next_deployment_at_once(
    error: ProviderError,
) -> None:
    tried = tried_with({"a": error, "b": "yes"})
    assert (tried.asked, tried.purposes, tried.pauses) == (["a", "b"], ["", "fallback"], [])


def test_when_nobody_else_is_left_a_hint_to_wait_is_kept() -> None:
    tried = tried_with({"a": [ProviderBusy("x", retry_after_s=2), "yes"], "b": ProviderBusy("x")})
    assert tried.asked == ["a", "b", "b", "b", "a"], "b said nothing: it is asked again sooner"
    assert tried.purposes[-1] == "retry"
    assert sum(tried.pauses) == pytest.approx(2.1), "a tenth is the jitter, here its half"


def test_a_hint_that_is_longer_than_the_longest_pause_is_told_to_the_caller() -> None:
    tried, error = failed_with({"a": ProviderBusy("later", retry_after_s=5.5)})
    assert (tried.asked, error.retry_after_s) == (["a"], 5.5)


def test_a_hint_beyond_the_deadline_is_not_waited_for() -> None:
    tried, _ = failed_with({"a": ProviderBusy("later", retry_after_s=3)}, left_s=2.0)
    assert tried.asked == ["a"]
    assert tried_with({"a": [ProviderBusy("x", retry_after_s=3), "yes"]}, left_s=4.0).asked


def test_after_the_deadline_nobody_is_asked_any_more() -> None:
    clock = Clock()
    tried = Tried()

    class Slow(Health):
        def failed(self, deployment: str, error: ProviderError) -> None:
            clock.now += 1.0  # what the attempt took

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    parts = Fallback(Slow(clock), Middle(), clock, sleep=sleep)
    timeout = ProviderTimeout("x", phase="first_delta")
    outcomes: dict[str, Outcome] = dict.fromkeys("abcd", timeout)
    with pytest.raises(ProviderTimeout):
        asyncio.run(go(outcomes, tried, parts=parts, clock=clock, left_s=1.5))
    assert tried.asked == ["a", "b"]


def test_an_open_breaker_ends_the_retries() -> None:
    many = RetrySettings(retries=9, backoff_s=0.1)
    tried, _ = failed_with({"a": ProviderFailed("x")}, retry=many)
    assert len(tried.asked) == 3, "three failures open a breaker"


def test_an_error_after_content_is_never_retried() -> None:
    tried, _ = failed_with({"a": ProviderFailed("x"), "b": "yes"}, may_continue=False)
    assert tried.asked == ["a"]


def detours(**named: Sequence[str]) -> Recovery:
    return Recovery(
        detours={
            kind: tuple(with_retry(name, NO_RETRY) for name in names)
            for kind, names in named.items()
        }
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ContextWindowExceeded("x"), "context_window"),
        (ContentPolicyRefused("x"), "content_policy"),
        (ProviderBusy("x"), "rate_limit"),
        (ProviderTimeout("x", phase="total"), "timeout"),
        (ProviderFailed("x"), "server_error"),
        (ProviderUnreachable("x"), "server_error"),
        (ProviderGarbled("x"), "server_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_class_of_error_has_its_own_detour(error: ProviderError, kind: str) -> None:
    outcomes: dict[str, Outcome] = {"a": error, "b": "no", "long": "yes"}
    tried = tried_with(outcomes, ladder="ab", retry=NO_RETRY, recovery=detours(**{kind: ["long"]}))
    assert (tried.asked, tried.purposes) == (["a", "long"], ["", "fallback"])
    other = "timeout" if kind == "rate_limit" else "rate_limit"
    straight = tried_with(
        outcomes, ladder="ab", retry=NO_RETRY, recovery=detours(**{other: ["long"]})
    )
    assert straight.asked == ["a", "b"]


def test_the_rest_of_the_ladder_follows_a_detour_and_nobody_is_asked_twice() -> None:
    failed = ProviderTimeout("x", phase="total")
    tried = tried_with(
        {"a": failed, "c": failed, "b": "yes"},
        ladder="acb",
        recovery=detours(timeout=["c", "a"]),
    )
    assert tried.asked == ["a", "c", "b"]


def test_an_empty_detour_ends_the_search() -> None:
    error = ContentPolicyRefused("no")
    tried, caught = failed_with({"a": error, "b": "yes"}, recovery=detours(content_policy=[]))
    assert (tried.asked, caught) == (["a"], error)


def test_a_detour_that_may_not_be_asked_is_left_out() -> None:
    tried = Tried()

    async def body() -> None:
        time = Clock()
        parts = Fallback(Health(time), Middle(), time)

        async def attempt(candidate: Deployment, purpose: str, race: Race | None) -> None:
            tried.asked.append(candidate.name)
            if candidate.name == "a":
                raise ContextWindowExceeded("x")

        plan = Plan(
            route="r",
            recovery=detours(context_window=["abroad"]),
            may_ask=lambda candidate: candidate.name != "abroad",
        )
        ladder = [with_retry(name, NO_RETRY) for name in "ab"]
        await parts.over(ladder, attempt, lambda: plan, may_continue=lambda: True)

    asyncio.run(body())
    assert tried.asked == ["a", "b"]


@given(
    st.lists(
        st.sampled_from(["ok", "failed", "busy", "hint", "timeout", "context"]),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 10),
)
def test_retries_never_storm(outcomes: list[str], retries: int) -> None:
    """However calls fail, a deployment gets at most its calls, their share, and a constant."""
    clock = Clock()

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    settings = BudgetSettings(share=0.1, per_second=1.0, burst=3.0)
    budget = RetryBudget(clock, settings)
    open_all = HealthSettings(at_least=10_000)  # no breaker helps
    parts = Fallback(Health(clock, open_all), Middle(), clock, budget=budget, sleep=sleep)
    errors: dict[str, Outcome] = {
        "failed": ProviderFailed("x"),
        "busy": ProviderBusy("x"),
        "hint": ProviderBusy("x", retry_after_s=0.5),
        "timeout": ProviderTimeout("x", phase="total"),
        "context": ContextWindowExceeded("x"),
        "ok": "yes",
    }
    start, asked = clock.now, 0
    for outcome in outcomes:
        tried = Tried()
        retry = RetrySettings(retries=retries, backoff_s=0.05)
        with suppress(ProviderError):
            asyncio.run(go({"a": errors[outcome]}, tried, parts=parts, retry=retry))
        asked += len(tried.asked)
    allowed = settings.burst + settings.share * len(outcomes) + (clock.now - start)
    assert asked <= len(outcomes) + allowed

"""The next deployment is asked when that may help, and the error says what was tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.routing.parts import deployment

from santral.errors import (
    ContextWindowExceeded,
    Overloaded,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
    QuotaExceeded,
)
from santral.routing import fallback
from santral.routing.fallback import first_content, with_fallback
from santral.routing.route import Deployment
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta


def run(
    outcomes: dict[str, Exception | str], *, may_continue: bool = True
) -> tuple[str, list[str]]:
    """Try deployments by name with the given outcomes; return the answer and who was asked."""
    asked: list[str] = []

    async def attempt(candidate: Deployment) -> str:
        asked.append(candidate.name)
        outcome = outcomes[candidate.name]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    answer = asyncio.run(
        with_fallback(map(deployment, outcomes), attempt, may_continue=lambda: may_continue)
    )
    return answer, asked


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

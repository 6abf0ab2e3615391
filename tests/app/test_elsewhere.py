"""Evaluations that ask a server: what comes back over the wire, and what such a server does not tell."""

from __future__ import annotations

import pytest
from tests.upstream import Upstream, answer_to

from santral.app.elsewhere import asked_server
from santral.errors import Unauthenticated
from santral.evals.answer import Answer, Question
from santral.evals.evaluator import Case
from santral.evals.evaluators.registry import build
from santral.evals.example import Example
from santral.evals.tools import Tools

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def asked(model: str, timeout_s: float = 5.0) -> Answer:
    with Upstream() as upstream:
        async with asked_server(upstream.base_url.removesuffix("/v1"), "sk-santral-x") as ask:
            messages = [{"role": "user", "content": "Hello?"}]
            answer = await ask(Question(model=model, messages=messages, timeout_s=timeout_s))
        assert upstream.seen[-1].headers["authorization"] == "Bearer sk-santral-x"
    return answer


async def test_an_answer_comes_with_what_its_headers_say() -> None:
    answer = await asked("ok")

    assert answer.text == answer_to("Hello?")
    assert answer.cost_nanousd is None  # nobody said what it cost
    assert answer.latency_us > 0
    assert answer.hides_passages


async def test_failures_are_answers_and_a_key_that_is_none_ends_the_run() -> None:
    assert (await asked("slow:2000", 0.2)).error == "timeout"
    with pytest.raises(Unauthenticated):
        await asked("unauthorized")
    async with asked_server("http://127.0.0.1:9", "k") as ask:
        assert (await ask(Question(model="m"))).error == "unreachable"


async def test_what_a_server_found_is_not_taken_for_nothing() -> None:
    evaluator = await build("retrieval", "retrieval", {}, Tools())
    example = Example(id="a", input="q", relevant=["doc"])

    told = await evaluator(Case(example=example, answer=Answer(text="x")))
    hidden = await evaluator(Case(example=example, answer=Answer(text="x", hides_passages=True)))

    assert {one.value for one in told} == {0.0}
    assert {one.error for one in hidden} == {"not_applicable"}

"""Policies: settings that are refused, verdicts that are given, failures that are declared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from santral.config.policies import PolicyConfig
from santral.errors import ConfigError
from santral.guardrails.check import Inspection
from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.policy import Outcome, Policy, compile_policy, inspect
from santral.guardrails.registry import CHECKS
from santral.guardrails.verdict import Action, Finding

Look = Callable[[Policy, str, str], Outcome]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"input": [{"check": "pi"}]}, r"policies\.p\.input\[0\].*'pi'.*Did you mean 'pii'"),
        (
            {"input": [{"check": "pii"}, {"check": "length", "max_token": 5}]},
            r"policies\.p\.input\[1\].*'max_token'.*Did you mean 'max_tokens'",
        ),
        ({"output": [{"check": "pii", "action": "retry"}]}, r"output\[0\].*cannot retry"),
        ({"output": [{"check": "injection"}]}, r"output\[0\].*does not look at output"),
        ({"input": [{"check": "pii", "entities": ["mail"]}]}, r"input\[0\].*'mail'"),
        ({"input": [{"check": "length", "max_tokens": 0}]}, r"input\[0\].*>= 1"),
        (
            {"input": [{"check": "pii"}, {"check": "pii", "action": "refuse"}]},
            r"input\[1\].*already looked for by policies\.p\.input\[0\]",
        ),
    ],
)
def test_a_policy_that_cannot_be_used_names_its_place(lists: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compile_policy("p", PolicyConfig.model_validate(lists))


def test_numbers_of_placeholders_are_shared_by_all_texts_of_a_request(everything: Policy) -> None:
    texts = ["ali@example.com", "no data", "veli@example.com and ALI@example.com"]
    outcome = asyncio.run(inspect(everything.input, texts, "input"))
    assert outcome.texts == ("[EMAIL_1]", "no data", "[EMAIL_2] and [EMAIL_1]")
    assert outcome.is_changed


def test_placeholders_can_be_carried_from_call_to_call(everything: Policy) -> None:
    placeholders = Placeholders()
    for text, masked in (("a@b.co", "[EMAIL_1]"), ("c@d.co a@b.co", "[EMAIL_2] [EMAIL_1]")):
        outcome = asyncio.run(inspect(everything.input, [text], "input", placeholders=placeholders))
        assert outcome.texts == (masked,)


def test_a_clean_text_passes_every_check_unchanged(everything: Policy, look: Look) -> None:
    outcome = look(everything, "Where is my order?", "input")
    assert [v.verdict for v in outcome.verdicts] == ["passed"] * 4
    assert (outcome.is_changed, outcome.refusal, outcome.retry) == (False, None, None)


def test_kinds_can_be_refused_masked_and_reported_apart(
    make_policy: Callable[..., Policy], look: Look
) -> None:
    policy = make_policy(
        input=[
            {"check": "pii", "entities": ["card"], "action": "refuse"},
            {"check": "pii", "entities": ["email"], "action": "mask"},
            {"check": "pii", "entities": ["phone"], "action": "report"},
        ]
    )
    outcome = look(policy, "a@b.co 0532 123 45 67", "input")
    assert outcome.texts == ("[EMAIL_1] 0532 123 45 67",)
    assert [v.action for v in outcome.verdicts] == ["allow", "mask", "report"]
    assert look(policy, "4111111111111111", "input").refusal is not None


def test_a_verdict_never_holds_the_value(everything: Policy, look: Look) -> None:
    outcome = look(everything, "ali@example.com sk-proj-abcdefghij1234567890XYZ", "input")
    assert "ali@" not in str(outcome.verdicts)
    assert "abcdefghij" not in str(outcome.verdicts)
    assert [(s.start, s.end, s.kind) for s in outcome.verdicts[0].spans] == [(0, 15, "EMAIL")]


class _Breaks:
    Params: ClassVar[type[Struct]] = Struct
    places: ClassVar[frozenset[str]] = frozenset({"input"})
    actions: ClassVar[tuple[Action, ...]] = ("report",)
    patterns: Mapping[str, str] = {}
    only_patterns = False
    reads_whole = False

    def __init__(self, params: Struct) -> None:
        pass

    async def __call__(self, looked: Inspection) -> Finding:
        raise ValueError("secret text")


@pytest.mark.parametrize("failure", ["closed", "open"])
def test_a_check_that_breaks_refuses_or_goes_on_as_declared(failure: str, look: Look) -> None:
    config = PolicyConfig.model_validate({"input": [{"check": "x", "on_failure": failure}]})
    policy = compile_policy("p", config, CHECKS | {"x": _Breaks})
    outcome = look(policy, "text", "input")
    (verdict,) = outcome.verdicts
    assert verdict.verdict == "failed"
    assert "secret text" not in verdict.reason
    assert (outcome.refusal is not None) == (failure == "closed")


def test_length_counts_all_texts_together(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy(input=[{"check": "length", "max_tokens": 20}])
    short = asyncio.run(inspect(policy.input, ["word " * 5], "input"))
    both = asyncio.run(inspect(policy.input, ["word " * 8, "word " * 8], "input"))
    assert short.refusal is None
    assert both.refusal is not None
    assert "at most 20" in both.refusal.reason


def test_a_policy_says_when_an_answer_must_be_buffered(
    make_policy: Callable[..., Policy],
) -> None:
    reporting = make_policy(output=[{"check": "pii"}, {"check": "citations"}])
    assert not reporting.needs_whole
    assert [check.name for check in reporting.after_stream] == ["citations"]
    assert make_policy(output=[{"check": "json_schema"}]).needs_whole
    assert make_policy(output=[{"check": "citations", "action": "retry"}]).needs_whole
    assert not make_policy(output=[{"check": "length"}]).needs_whole


def test_no_checks_say_nothing(make_policy: Callable[..., Policy], look: Look) -> None:
    assert look(make_policy(), "ali@example.com", "input") == Outcome(("ali@example.com",))


def test_the_event_loop_runs_on_while_a_long_text_is_looked_at() -> None:
    policy = compile_policy("p", PolicyConfig.model_validate({"input": [{"check": "pii"}]}))
    text = "0532 123 45 67 " * 8_000 + "ayse@example.com"

    async def main() -> tuple[Outcome, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(tick())
            outcome = await inspect(policy.input, [text], "input")
            ticking.cancel()
        return outcome, ticks

    outcome, ticks = asyncio.run(main())
    assert outcome.texts[0].endswith("[EMAIL_1]")
    assert ticks > 10, "nobody else got a turn"

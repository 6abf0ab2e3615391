"""A request is read for what deployments differ in, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.routing.parts import chat, compiled

from santral.config.upstreams import Capability
from santral.providers.registry import DIALECTS
from santral.routing.demand import SOFT, asks_nothing_special, demand_of, input_tokens
from santral.routing.route import Rules

ALL: tuple[str, ...] = Capability.__args__


def rules(*lacked: str, **settings: Any) -> Rules:
    lacking = {"capabilities": dict.fromkeys(lacked, False)}
    made = compiled({"ladder": [{"deployments": {"a": 1}}]}, {"a": lacking | settings})
    assert made.rules is not None
    return made.rules


PART = "data:image/png;base64,AAAA"
CASES: list[tuple[str, dict[str, Any]]] = [
    ("tools", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ("parallel_tools", {"parallel_tool_calls": True}),
    ("json_schema", {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}),
    ("json_object", {"response_format": {"type": "json_object"}}),
    ("vision", {"content": [{"type": "image_url", "image_url": {"url": PART}}]}),
    ("audio_in", {"content": [{"type": "input_audio", "input_audio": {"data": "AA"}}]}),
    ("files", {"content": [{"type": "file", "file": {"file_id": "f"}}]}),
    ("reasoning", {"reasoning_effort": "low"}),
    ("logprobs", {"logprobs": True}),
    ("prompt_cache", {"content": [{"type": "text", "text": "x",
                                   "cache_control": {"type": "ephemeral"}}]}),
    ("streaming", {"stream": True}),
    ("n", {"n": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("need", "fields"), CASES, ids=[case[0] for case in CASES])
def test_each_need_is_seen_in_the_request_that_has_it(need: str, fields: dict[str, Any]) -> None:
    assert demand_of(chat(**fields), rules(*ALL)).needs == {need}
    assert not asks_nothing_special(chat(**fields), rules(need), 10)


def test_there_is_a_case_for_every_capability() -> None:
    assert {case[0] for case in CASES} == set(ALL)
    assert set(SOFT) < set(ALL)


@pytest.mark.parametrize(
    "fields",
    [{"tools": []}, {"tools": None}, {"n": 1}, {"logprobs": False}, {"reasoning_effort": "none"}],
)
def test_a_field_that_asks_for_nothing_is_no_need(fields: dict[str, Any]) -> None:
    assert demand_of(chat(**fields), rules(*ALL)).needs == frozenset()
    assert asks_nothing_special(chat(**fields), rules(*ALL), 10)


def test_what_every_deployment_can_is_not_looked_for() -> None:
    assert demand_of(chat(n=2, logprobs=True), rules("n")).needs == {"n"}


def test_an_image_counts_as_an_image_and_not_by_its_bytes() -> None:
    url = "data:image/png;base64," + "A" * 400_000
    tokens = input_tokens(chat([{"type": "image_url", "image_url": {"url": url}}]))
    assert 500 < tokens < 2000


def test_lengths_are_counted_only_where_a_window_could_be_too_short() -> None:
    known = rules(context_tokens=1000)
    assert demand_of(chat("word " * 100), known, body_bytes=600).input_tokens == 0
    assert demand_of(chat("word " * 300), known, body_bytes=1600).input_tokens > 300
    assert not asks_nothing_special(chat("word " * 300), known, 1600)
    assert not asks_nothing_special(chat(max_tokens=60), rules(max_output_tokens=50), 60)


def test_lengths_are_counted_where_the_cheapest_is_looked_for() -> None:
    ladder = [{"deployments": {"a": 1, "b": 1}}]
    made = compiled({"ladder": ladder, "strategy": "cheapest"}, {"a": {}, "b": {}})
    assert made.rules is not None
    assert demand_of(chat("word " * 3000), made.rules, body_bytes=15_100).input_tokens > 3000


def test_a_session_is_the_unit_then_the_user_then_nothing() -> None:
    known = rules("n")
    both = {"session": "s", "user": "u"}
    assert demand_of(chat(santral=both), known, tenant="t").unit == "t/s"
    assert demand_of(chat(santral={"user": "u"}, user="w"), known, tenant="t").unit == "t/u"
    assert demand_of(chat(user="w"), known, tenant="t").unit == "t/w"
    assert demand_of(chat(), known, tenant="t").unit == ""


def test_signed_reasoning_names_the_dialects_that_take_it_back() -> None:
    made = replace(rules("n"), has_dialects=True)
    turns = [
        {"role": "assistant", "content": "a", "reasoning_details": [{"format": name}]}
        for name in ("google-gemini-v1", "anthropic-claude-v1", "unknown-v1")
    ]
    found = demand_of(chat(messages=turns), made).dialects
    assert found == {"gemini", "vertex", "anthropic", "bedrock"}
    assert found < set(DIALECTS)
    assert demand_of(chat(messages=turns), rules("n")).dialects == frozenset()

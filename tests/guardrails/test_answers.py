"""Checks of whole answers: schema, citations, refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from santral.errors import BadRequest
from santral.guardrails.check import OutputContext
from santral.guardrails.checks.citations import cited_numbers
from santral.guardrails.policy import Outcome, Policy, inspect_output
from santral.guardrails.schema import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, compile_schema
from santral.wire.delta import Source

MakePolicy = Callable[..., Policy]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "sizes": {"items": {"type": "integer"}}},
    "required": ["name", "price"],
}
SOURCES = (
    Source(
        number=1, chunk_id="a", document="d", text="Orders are delivered within 5 working days."
    ),
    Source(number=2, chunk_id="b", document="d", text="Müşteriler 14 gün içinde iade edebilir."),
)


def answered(policy: Policy, text: str, **context: Any) -> Outcome:
    return asyncio.run(inspect_output(policy.output, text, OutputContext(**context)))


def compiled(schema: object) -> Any:
    return compile_schema(json.dumps(schema).encode())


def test_violations_name_their_paths_for_a_corrective_retry(make_policy: MakePolicy) -> None:
    policy = make_policy(output=[{"check": "json_schema"}])
    wrong = '{"name": 5, "sizes": [1, "two"]}'
    outcome = answered(policy, wrong, schema=compiled(SCHEMA))
    assert outcome.retry is not None
    for part in ("$.name", "$.sizes[1]", '"price" is a required property'):
        assert part in outcome.retry.reason
    right = '{"name": "x", "price": 1}'
    assert answered(policy, right, schema=compiled(SCHEMA)).retry is None


def test_an_answer_that_is_not_json_is_retried(make_policy: MakePolicy) -> None:
    policy = make_policy(output=[{"check": "json_schema"}])
    outcome = answered(policy, "Here you are: {}", schema=compiled(SCHEMA))
    assert outcome.retry is not None
    assert "not JSON" in outcome.retry.reason
    assert answered(policy, "no schema, no matter").retry is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "a schema is an object"),
        (b'{"type": "nonsense"}', "cannot be used"),
        (b'{"pattern": "(?=a)b"}', "cannot be used"),
        (b'{"$ref": "https://example.com/s.json"}', "cannot be used"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, f"deeper than {MAX_SCHEMA_DEPTH}"),
        (b" " * (MAX_SCHEMA_BYTES + 1), "larger than"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "cannot be used"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(raw: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        compile_schema(raw)


def test_equal_schemas_are_compiled_once() -> None:
    assert compiled(SCHEMA) is compiled(SCHEMA)
    assert compiled(SCHEMA).digest != compiled({}).digest


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[1]", {1}),
        ("a [1][2] b [3]", {1, 2, 3}),
        ("[1, 3; 5]", {1, 3, 5}),
        ("[2-4]", {2, 3, 4}),
        ("[x] [1a] (2)", set()),
    ],
)
def test_markers_are_read(text: str, numbers: set[int]) -> None:
    assert cited_numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Orders are delivered within 5 working days [1].", ""),
        ("Orders are delivered within 5 working days. [1]", ""),
        ("İade süresi 14 gündür, müşteriler iade edebilir [2].", ""),
        ("I do not know.", ""),
        ("Bu konuda bilgi bulamadım.", ""),
        ("Orders are delivered within 7 working days [1].", "numbers that [1] does not: 7"),
        ("Orders are delivered within 5 working days [3].", "cites [3], which was not given"),
        ("The moon is made of green cheese [1].", "not borne by [1]"),
        ("Orders are delivered within 5 working days.", "no citation"),
    ],
)
def test_citations_are_held_against_their_sources(
    text: str, problem: str, make_policy: MakePolicy
) -> None:
    policy = make_policy(output=[{"check": "citations"}])
    (verdict,) = answered(policy, text, sources=SOURCES).verdicts
    assert problem in verdict.reason
    assert verdict.action == ("report" if problem else "allow")


def test_without_sources_nothing_is_expected(make_policy: MakePolicy) -> None:
    policy = make_policy(output=[{"check": "citations", "action": "retry"}])
    assert answered(policy, "See [9].").retry is None
    assert answered(policy, "See [9].", sources=SOURCES).retry is not None


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "As an AI language model, I am unable to browse.",
        "Üzgünüm, bu konuda yardımcı olamam.",
        "Maalesef bu isteğinizi yerine getiremiyorum.",
        "Bu konuda yardımcı olamıyorum.",
    ],
)
def test_a_refusal_of_the_model_is_reported(text: str, make_policy: MakePolicy) -> None:
    (verdict,) = answered(make_policy(output=[{"check": "refusal"}]), text).verdicts
    assert (verdict.verdict, verdict.action) == ("found", "report")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry to hear that. Your order is on its way.",
        "You can change the address in your account.",
        "Siparişiniz yarın teslim edilecek.",
        "Maalesef kargo gecikti, yarın teslim edilecek.",
        "x" * 230 + " I cannot assist with that",
    ],
)
def test_an_answer_is_not_a_refusal(text: str, make_policy: MakePolicy) -> None:
    (verdict,) = answered(make_policy(output=[{"check": "refusal"}]), text).verdicts
    assert verdict.verdict == "passed"

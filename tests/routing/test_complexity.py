"""Easy requests and hard ones are told apart, in English and Turkish, and rules are sure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.parts import chat

from santral.errors import ConfigError
from santral.routing.complexity import LONG_CHARACTERS, MANY_TOOLS, SHIPPED, Classifier, Tiers
from santral.routing.complexity_features import MAX_CHARACTERS, NAMES, Shape, features, shape_of

TIERS = Tiers.build(["small", "large"], Classifier.load(), None)
JUDGED = [
    json.loads(line)
    for line in (Path(__file__).with_name("complexity_prompts.jsonl")).read_text().splitlines()
]


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_the_shipped_classifier_agrees_with_a_person(lang: str) -> None:
    rows = [row for row in JUDGED if row["lang"] == lang]
    right = [TIERS.judge_text(row["text"], Shape()).tier == row["label"] for row in rows]
    assert len(rows) >= 30
    assert sum(right) / len(right) >= 0.9


@given(st.text(max_size=300), st.integers(0, 20))
def test_any_text_has_its_features_and_a_tier(text: str, tools: int) -> None:
    found = TIERS.judge_text(text, Shape(tools=tools))
    assert len(found.features) == len(NAMES)
    assert 0 <= found.score <= 1
    assert found.tier in (0, 1)
    assert TIERS.judge_text(text, Shape(tools=tools)) == found


def test_a_lone_surrogate_in_a_text_is_only_a_letter() -> None:
    assert features("a\ud800b")


@pytest.mark.parametrize(
    ("text", "shape", "rule"),
    [
        ("Hi", Shape(effort="high"), "reasoning_effort is high"),
        ("a" * LONG_CHARACTERS, Shape(), f"the question has {LONG_CHARACTERS} characters"),
        ("Hi", Shape(tools=MANY_TOOLS), f"{MANY_TOOLS} tools to choose from"),
    ],
)
def test_a_rule_forces_the_hardest_tier_and_is_named(text: str, shape: Shape, rule: str) -> None:
    found = TIERS.judge_text(text, shape)
    assert (found.tier, found.rules) == (1, (rule,))


def test_what_is_asked_last_is_what_is_judged() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Prove it."},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": [{"type": "text", "text": "Thanks!"},
                                     {"type": "image_url", "image_url": {"url": "https://a/b"}}]},
    ]  # fmt: skip
    text, shape = shape_of(
        chat(messages=messages, tools=[{}, {}], reasoning_effort="high",
             response_format={"type": "json_schema"})
    )  # fmt: skip
    assert text == "Thanks!"
    assert shape == Shape(
        instructions=9, depth=1, tools=2, has_schema=True, attachments=1, effort="high"
    )


def test_a_very_long_text_is_judged_by_its_ends() -> None:
    middle = "x " * 100_000
    text = f"{'a ' * MAX_CHARACTERS}{middle}{'b ' * MAX_CHARACTERS}"
    other = f"{'a ' * MAX_CHARACTERS}{middle[:50]}{'b ' * MAX_CHARACTERS}"
    assert features(text) == features(other)


def test_thresholds_of_the_route_are_over_those_of_the_classifier() -> None:
    text = JUDGED[0]["text"]
    score = TIERS.judge_text(text, Shape()).score
    for cut, tier in ((score + 0.01, 0), (score - 0.01, 1)):
        made = Tiers.build(["small", "large"], TIERS.classifier, [cut])
        assert made.judge_text(text, Shape()).tier == tier


def test_three_tiers_rise_with_the_score() -> None:
    tiers = Tiers.build(["a", "b", "c"], TIERS.classifier, [0.2, 0.8])
    found = [tiers.judge_text(row["text"], Shape()) for row in JUDGED]
    assert [j.tier for j in sorted(found, key=lambda j: j.score)] == sorted(j.tier for j in found)
    assert {j.tier for j in found} == {0, 1, 2}


def test_the_card_says_where_the_weights_come_from() -> None:
    text = SHIPPED.read_text()
    for word in ("CC BY 3.0", "CC BY 4.0", "MIT", "Apache-2.0", "CC0", "blind_spots", "Weak"):
        assert word in text


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace("length = ", "height = "), "its features are not those"),
        (lambda text: text.replace("3 = [", "5 = ["), "2, 3 and 4 tiers"),
        (lambda text: text.replace("bias = ", "bias = x"), "cannot be used"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused(edit, says: str, tmp_path: Path) -> None:
    file = tmp_path / "model.toml"
    file.write_text(edit(SHIPPED.read_text()))
    with pytest.raises(ConfigError, match=says):
        Classifier.load(file)

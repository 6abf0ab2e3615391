"""A tenant's own examples make a classifier that is written, read and as good as it says."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from santral.errors import BadRequest
from santral.routing.complexity import Classifier, Tiers
from santral.routing.complexity_features import Shape
from santral.routing.complexity_train import (
    Example,
    measure,
    read_examples,
    train,
    write_classifier,
)


def examples(count: int = 60) -> list[Example]:
    """Easy ones greet; hard ones ask for code and proofs."""
    rng = Random(4)
    easy = ["hello there", "what time is it", "thanks a lot", "where is my order"]
    hard = ["prove the theorem step by step", "implement a function in python and its tests"]
    return [
        Example(f"{rng.choice(easy if n % 2 else hard)} {rng.choice('abcdef')}", float(n % 2 == 0))
        for n in range(count)
    ]


def test_what_was_learnt_is_told_apart_also_after_being_written(tmp_path: Path) -> None:
    made = train(examples(), "own")
    scores = measure(made, examples(40))
    assert scores.accuracy == 1.0
    assert scores.auc == 1.0
    assert scores.brier < 0.05
    write_classifier(tmp_path / "m.toml", made, {"from": 'a "file"', "scores": {"auc": 1.0}})
    tiers = Tiers.build(["small", "large"], Classifier.load(tmp_path / "m.toml"), None)
    assert tiers.judge_text("prove this theorem step by step", Shape()).tier == 1
    assert tiers.judge_text("hello there", Shape()).tier == 0


def test_the_same_examples_make_the_same_classifier() -> None:
    assert train(examples(), "v") == train(examples(), "v")


def test_a_rare_label_counts_as_much_as_a_common_one() -> None:
    rare = [e for e in examples(400) if not e.label] + [e for e in examples(40) if e.label]
    scores = measure(train(rare, "v"), examples(100))
    assert scores.recall_hard == 1.0


def test_ignored_features_get_no_weight() -> None:
    made = train(examples(), "v", ignored=("length",))
    assert made.weights[0] == 0.0
    assert train(examples(), "v").weights[0] != 0.0


def test_too_few_examples_are_refused_with_their_numbers() -> None:
    with pytest.raises(BadRequest, match="5 easy and 5 hard examples; at least 20"):
        train(examples(10), "v")


def test_labels_are_numbers_words_or_the_tiers_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    rows = [
        {"text": "a", "tier": "easy"}, {"text": "b", "label": "hard"}, {"text": "c", "label": 1},
        {"text": "d", "label": 0.5}, {"text": "e", "tier": "hard", "more": True},
    ]  # fmt: skip
    file.write_text("\n\n".join(map(json.dumps, rows)))
    assert [e.label for e in read_examples(file)] == [0.0, 1.0, 1.0, 0.5, 1.0]
    file.write_text('{"text": "a", "tier": "mid"}')
    assert read_examples(file, ["low", "mid", "top"])[0].label == 0.5


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "a"}', ":1: give tier or label: one of easy, hard"),
        ('{"text": "a", "tier": "huge"}', "one of easy, hard"),
        ('{"text": "a", "label": 7}', "from 0 to 1"),
        ("{", ":1: "),
        ('{"tier": "easy"}', "missing required field `text`"),
    ],
)
def test_a_line_that_teaches_nothing_is_named(line: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(line)
    with pytest.raises(BadRequest, match=says):
        read_examples(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"gone\.jsonl: cannot be read"):
        read_examples(tmp_path / "gone.jsonl")

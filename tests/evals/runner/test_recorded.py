"""Answers that were recorded beside examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.errors import BadRequest
from santral.evals.recorded import read_recorded


def test_answers_are_found_by_the_id_that_their_example_gets(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(
        '{"id": "a", "input": "one", "answer": "first"}\n'
        '{"input": "two", "answer": {"text": "second", "latency_us": 5}}\n'
        '{"id": "c", "input": "three"}\n'
    )

    examples, answers = read_recorded(path)

    assert [one.input for one in examples] == ["one", "two", "three"]
    assert answers["a"].text == "first"
    assert answers[examples[1].id].latency_us == 5
    assert "c" not in answers


def test_an_answer_that_is_none_names_its_row(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "a", "input": "one", "answer": {"text": 3}}\n')

    with pytest.raises(BadRequest, match=r"cases\.jsonl, line 1: answer: Expected `str`"):
        read_recorded(path)

"""Question sets: what is read, what is refused, and that the shipped ones hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.errors import BadRequest
from santral.retrieval.evaluation.questions import Answer, load_questions
from santral.retrieval.evaluation.run import holds

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "examples" / "quickstart" / "questions"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("handbook.jsonl", ROOT / "examples/quickstart/handbook"), ("docs.jsonl", ROOT)],
)
def test_every_answer_of_the_shipped_sets_stands_where_they_say(name: str, folder: Path) -> None:
    questions = load_questions(SHIPPED / name)
    assert len(questions.cases) >= 30
    assert sum(not case.relevant for case in questions.cases) >= 3
    for case in questions.cases:
        for answer in case.relevant:
            text = (folder / answer.document).read_text(encoding="utf-8")
            assert holds(answer, text), case.question


def test_lines_and_folders_are_read(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text('{"question": "Why?", "relevant": [{"document": "a.md", "quote": "b"}]}\n\n')
    (case,) = load_questions(file).cases
    assert case.relevant == (Answer("a.md", "b"),)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "queries.jsonl").write_text(
        '{"id": 1, "text": "one"}\n{"_id": "2", "text": "two"}\n{"id": "3", "text": "three"}\n'
    )
    (folder / "qrels.json").write_text('{"1": {"x": 2, "y": 0}, "2": {"z": 1}}')
    found = load_questions(folder).cases
    assert [(case.id, case.relevant) for case in found] == [
        ("1", (Answer("x", gain=2.0),)),
        ("2", (Answer("z", gain=1.0),)),
    ]


def test_judgements_come_as_a_table_too(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "one"}\n')
    assert load_questions(tmp_path).cases[0].relevant == (Answer("d"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no question"),
        ("{}\n", "line 1"),
        ('{"question": " "}\n', "line 1: the question is empty"),
        ('{"question": "a"}\n{"question": "b", "answers": []}\n', "line 2.*answers"),
        ('{"question": "a", "relevant": [{"doc": "x"}]}\n', "line 1"),
        ("not json\n", "line 1"),
    ],
)
def test_a_bad_set_is_refused_by_its_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text(content)
    with pytest.raises(BadRequest, match=said):
        load_questions(file)


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none\.jsonl cannot be read"):
        load_questions(tmp_path / "none.jsonl")
    (tmp_path / "queries.jsonl").write_text('{"id": "1", "text": "one"}\n')
    with pytest.raises(BadRequest, match=r"cannot be read|qrels"):
        load_questions(tmp_path)


def test_a_quotation_is_found_however_it_is_spaced_and_cased() -> None:
    assert holds(Answer("d", "İĞDIR'da   hava"), "Bugün ığdır da HAVA açık")
    assert not holds(Answer("d", "hava"), "havaalanı")
    assert holds(Answer("d"), "anything")

"""Files of examples: what they may say, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import BadRequest
from santral.evals.datasets.files import Fault, iterate_examples, manifest_hash, read_examples
from santral.evals.datasets.shape import parse_mapping
from santral.evals.example import Example

QUESTIONS = '{"id": "a", "input": "Kaç gün?", "expected": "14"}\n\n{"input": "Nerede?"}\n'


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_become_examples_in_order(tmp_path: Path) -> None:
    first, second = read_examples(write(tmp_path, "cases.jsonl", QUESTIONS))
    assert first == Example(id="a", input="Kaç gün?", expected="14")
    assert second.input == "Nerede?"
    assert second.id.startswith("ex_")


def test_an_example_without_an_id_has_the_same_one_wherever_it_stands(tmp_path: Path) -> None:
    (one,) = read_examples(write(tmp_path, "a.jsonl", '{"input": "Nerede?"}'))
    assert one.id == read_examples(write(tmp_path, "b.jsonl", QUESTIONS))[1].id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"input": "a"}\n{"inputt": "b"}', "line 2: There is no field 'inputt'"),
        ('{"input": "a"}\n[1]', "line 2: It is no JSON object"),
        ('{"expected": "b"}', "line 1: It asks nothing"),
        ('{"id": "x", "input": "a"}\n{"id": "x", "input": "b"}', "stands in line 1 already"),
        ('{"input": "a", "relevant": [1]}', "relevant"),
        ('{"input": [{"content": "x"}]}', "has no role"),
        ('{"input": "a", "split": "my split"}', "The split 'my split'"),
    ],
)
def test_a_fault_is_named_by_its_row(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"cases\.jsonl") as error:
        read_examples(write(tmp_path, "cases.jsonl", text))
    assert said in error.value.message


def test_a_row_that_is_skipped_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "cases.jsonl", '{"input": "a"}\n{"expected": "b"}\nno\n{"input": "c"}')
    faults: list[Fault] = []
    kept = list(iterate_examples(path, skip=faults.append))
    assert [one.input for one in kept] == ["a", "c"]
    assert [fault.place for fault in faults] == ["line 2", "line 3"]


def test_columns_of_a_table_are_mapped_to_fields(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "faq.csv",
        'question,answer,topic,docs\n"Kaç, gün?",14,iade,"[""a.md"", ""b.md""]"\n',
    )
    mapping = parse_mapping(
        ["input=question", "expected=answer", "metadata.topic=topic", "relevant=docs"]
    )
    (one,) = iterate_examples(path, mapping)
    assert (one.input, one.expected, one.metadata) == ("Kaç, gün?", "14", {"topic": "iade"})
    assert one.relevant == ["a.md", "b.md"]


def test_columns_that_are_no_field_are_refused_kept_or_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, "faq.csv", "input,topic\nKaç?,iade\n")
    with pytest.raises(BadRequest, match="topic"):
        read_examples(path)
    assert next(iterate_examples(path, rest="metadata")).metadata == {"topic": "iade"}
    assert next(iterate_examples(path, rest="drop")).metadata == {}


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "faq.csv", "question\nKaç?\n")
    with pytest.raises(BadRequest, match="Did you mean 'question'"):
        list(iterate_examples(path, {"input": "questoin"}))


def test_parquet_is_read_with_lists_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    duckdb.sql(
        "COPY (SELECT 'Kaç?' AS input, ['a.md', 'b.md'] AS relevant, 'NaN'::DOUBLE AS share, "
        "DATE '2026-11-23' AS day, {'k': 1} AS metadata) "
        f"TO '{path}' (FORMAT parquet)"
    )
    (one,) = iterate_examples(path, rest="metadata")
    assert one.relevant == ["a.md", "b.md"]
    assert one.metadata == {"day": "2026-11-23", "k": 1}


def test_a_file_of_another_kind_is_refused_with_those_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"\.parquet"):
        read_examples(write(tmp_path, "cases.xlsx", ""))
    with pytest.raises(BadRequest, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl")
    with pytest.raises(BadRequest, match="cannot be read"):
        read_examples(write(tmp_path, "bad.parquet", "not parquet"))


EXAMPLES = st.lists(
    st.builds(Example, id=st.text(min_size=1), input=st.text(min_size=1), split=st.text()),
    unique_by=lambda one: one.id,
    max_size=6,
)


@given(EXAMPLES, EXAMPLES)
def test_manifests_are_equal_only_where_contents_are(
    some: list[Example], others: list[Example]
) -> None:
    shuffled = list(reversed(some))
    assert manifest_hash(some) == manifest_hash(shuffled)
    same = {one.id: one for one in some} == {one.id: one for one in others}
    assert (manifest_hash(some) == manifest_hash(others)) is same

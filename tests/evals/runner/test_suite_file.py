"""Suites: what is read, and what a fault in one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.errors import BadRequest
from santral.evals.suite_file import parse_suite, read_suite

GOOD = """\
dataset = "cases.jsonl"
repeats = 2

[[targets]]
name = "plain"
route = "docs"

[[targets]]
name = "short"
route = "docs"
prompt = "assistant@1.1.0"
settings = { max_tokens = 50 }

[[evaluators]]
use = "contains"
"""


def test_a_suite_is_called_as_its_file_where_it_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "support.toml"
    path.write_text(GOOD)

    read = read_suite(path)

    assert read.suite.name == "support"
    assert [target.name for target in read.suite.targets] == ["plain", "short"]
    assert read.dataset_path == tmp_path / "cases.jsonl"
    assert len(read.digest) == 64


def test_a_data_set_that_is_kept_has_no_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(GOOD.replace("cases.jsonl", "faq@3"))

    assert read_suite(path).dataset_path is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("repeats = 2", "repeat = 2", "s.toml:2: repeat: there is no such setting. Did you mean"),
        ("repeats = 2", "repeats = 0", "s.toml:2: repeats: expected `int` >= 1."),
        ("repeats = 2", 'repeats = "2"', "s.toml:2: repeats: expected `int`, got `str`."),
        ('prompt = "assistant', 'promt = "assistant', "s.toml:11: targets.2.promt: there is no"),
        ('name = "short"', 'name = "plain"', "s.toml:9: targets.2.name: there are two targets"),
        ('use = "contains"', "", "s.toml:14: evaluators.1: 'use' is missing."),
        ('dataset = "cases.jsonl"', "", "s.toml:1: 'dataset' is missing."),
        ('route = "docs"\n\n', "\n\n", "s.toml:4: targets.1: say which route answers"),
        (
            "repeats = 2",
            "repeats = 2\n[gate]\nmargin = 0.1\nmin_pair = 5",
            "s.toml:5: gate.min_pair: there is no such setting. Did you mean 'min_pairs'?",
        ),
        ("repeats = 2", "repeats = = 2", "s.toml:2: not valid TOML"),
        (
            'route = "docs"\n\n',
            'route = "docs"\nrecorded = true\n\n',
            "s.toml:7: targets.1.recorded",
        ),
    ],
)
def test_a_fault_names_the_line_and_the_remedy(old: str, new: str, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_suite(GOOD.replace(old, new, 1), Path("s.toml"))

    assert refused.value.message.startswith(said)
    assert refused.value.detail_code == "bad_suite"


def test_a_suite_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none\.toml:1: the suite cannot be read: No such file"):
        read_suite(tmp_path / "none.toml")

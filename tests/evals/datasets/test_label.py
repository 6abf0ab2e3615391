"""Labelling functions: what each did, and what comes of all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from santral.errors import BadRequest
from santral.evals.datasets.label import label_examples, load_functions
from santral.evals.example import Example

SOURCE = """
def refund(example):
    return "refund" if "iade" in example.input else None

def breaks(example):
    raise ValueError("no")
"""


def test_functions_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text(SOURCE)
    functions = load_functions([f"{path}:refund", f"{path}:breaks"])
    found = label_examples(
        [Example(id="a", input="iade?"), Example(id="b", input="kargo?")], functions
    )
    refund, breaks = found.functions
    assert (refund.coverage, refund.labels, refund.failed) == (0.5, {"refund": 1}, 0)
    assert (breaks.coverage, breaks.failed) == (0.0, 2)
    assert [one.label for one in found.labels] == ["refund", None]


@pytest.mark.parametrize(
    "text", ["rules.py", "none.py:f", "{folder}/rules.py:none", "{folder}/bad.py:f"]
)
def test_what_is_no_function_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(SOURCE)
    (tmp_path / "bad.py").write_text("raise SystemError")
    with pytest.raises(BadRequest):
        load_functions([text.format(folder=tmp_path)])


def test_one_good_function_outvotes_two_bad_ones() -> None:
    """Three functions of known accuracy: the estimate finds it, and beats the majority."""
    rng = np.random.default_rng(3)
    truth = rng.random(3_000) < 0.5
    accuracies = {"good": 0.95, "fair": 0.7, "poor": 0.6, "weak": 0.6}
    said = {
        name: np.where(rng.random(3_000) < share, truth, ~truth)
        for name, share in accuracies.items()
    }
    functions = {
        name: lambda example, votes=votes: str(bool(votes[int(example.id)]))
        for name, votes in said.items()
    }
    found = label_examples([Example(id=str(n), input="x") for n in range(3_000)], functions)
    for report in found.functions:
        assert abs(report.accuracy - accuracies[report.name]) < 0.08
    weighted = np.mean([one.label == str(bool(truth[int(one.example)])) for one in found.labels])
    majority = np.mean([one.majority == str(bool(truth[int(one.example)])) for one in found.labels])
    assert weighted > 0.93
    assert weighted > majority + 0.1  # which has none where two stand against two
    assert 0.55 < found.agreement["good, poor"] < 0.65

"""The gate of a suite: what decides, and that the how-to tells its defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from tests.evals.verdict.runs import LATENCY, PASSED

from santral.evals.evaluator import Measure
from santral.evals.verdict.gate import Gate, MeasureGate

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "gate-a-change-in-ci.md"


def test_the_how_to_tells_every_setting_and_its_default() -> None:
    text = PAGE.read_text()
    (block,) = re.findall(r"```toml\n(\[gate\].*?)```", text, re.DOTALL)
    table = tomllib.loads(block)["gate"]
    told = msgspec.convert(table, Gate)
    assert msgspec.structs.replace(told, measures={}) == Gate()
    for name in (*Gate.__struct_fields__, *MeasureGate.__struct_fields__):
        assert re.search(rf"\b{name}\b", text), name


def test_a_margin_is_the_measures_own_or_that_of_its_kind() -> None:
    gate = Gate(
        measures={
            "passed": MeasureGate(margin=0.01),
            "latency_us": MeasureGate(relative_margin=0.5),
        }
    )
    assert gate.margin_of(PASSED, 0.9) == 0.01
    assert gate.margin_of(LATENCY, 200.0) == 100.0
    assert Gate().margin_of(PASSED, 0.9) == 0.05
    assert Gate().margin_of(LATENCY, 200.0) == pytest.approx(20.0)


def test_what_has_no_better_decides_nothing() -> None:
    gate = Gate(measures={"words": MeasureGate(gates=True), "passed": MeasureGate(gates=False)})
    assert not gate.decides(Measure(name="words", direction="none"))
    assert not gate.decides(PASSED)
    assert Gate().decides(PASSED)
    assert not Gate().decides(LATENCY)


@pytest.mark.parametrize(
    "table",
    [
        {"margn": 0.02},
        {"margin": 3},
        {"level": 1.0},
        {"measures": {"x": {"margin": -1}}},
        {"min_pairs": 1},
    ],
)
def test_what_means_nothing_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Gate)

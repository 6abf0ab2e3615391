"""``santral judges``, with a gateway and a provider behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.upstream import Upstream
from typer.testing import CliRunner, Result

from santral.__main__ import full_app
from santral.errors import RequestError
from santral.evals.run import Run, decode_run

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{url}"

[deployments.echo]
provider = "up"
model = "ok"

[deployments.judge]
provider = "up"
model = "judge"
"""

SUITE = """
name = "support"
dataset = "cases.jsonl"

[[targets]]
name = "recorded"
recorded = true

[[evaluators]]
use = "judge"
name = "right"
[evaluators.params]
route = "judge"
instructions = "Is the answer right?"

[[evaluators]]
use = "g_eval"
name = "tone"
[evaluators.params]
route = "judge"
criteria = "Is it kind?"
steps = ["Read it."]
calibration = "tone.json"
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "santral.toml").write_text(CONFIG.format(url=upstream.base_url))
    (tmp_path / "suite.toml").write_text(SUITE)
    rows = [
        {
            "id": str(n),
            "input": "?",
            "answer": "a good answer" if n % 2 else "a poor answer",
            "metadata": {"right": "yes" if n % 2 else "no", "kind": 5 if n % 2 else 1},
        }
        for n in range(20)
    ]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*line: str, status: int = 0) -> Result:
    result = CliRunner().invoke(full_app(), list(line))
    assert result.exit_code == status, (line, result.output, result.exception)
    return result


CALIBRATE = ("judges", "calibrate", "suite.toml", "right", "--labels", "cases.jsonl")


def measured(folder: Path, out: str) -> Run:
    run("eval", "run", "suite.toml", "--report", "json", "--out", out)
    id = run("eval", "list").stdout.splitlines()[1].split("\t")[0]
    run("eval", "export", id, "--out", f"{out}.json")
    return decode_run((folder / f"{out}.json").read_bytes())


def test_a_judge_gates_once_people_agree_with_it(folder: Path) -> None:
    with_note = json.loads(run("judges", "list", "--json").stdout)
    assert with_note == []
    said = run(*CALIBRATE, "--label", "right").stdout
    assert "May gate: its cohen_kappa with people is 1.00" in said
    (kept,) = json.loads(run("judges", "list", "--json").stdout)
    assert (kept["judge"], kept["models"], kept["may_gate"]) == ("right", ["judge"], True)
    assert kept["repeat_rate"] == 1.0
    shown = run("judges", "show", "right").stdout
    assert "passes what people pass\t100% of 10" in shown


def test_a_calibration_lies_beside_the_suite_and_g_eval_reads_the_chances(folder: Path) -> None:
    (folder / "suite.toml").write_text(SUITE.replace('calibration = "tone.json"\n', ""))
    line = ("judges", "calibrate", "suite.toml", "tone", "--labels", "cases.jsonl")
    run(*line, "--label", "kind", "--out", "tone.json", "--no-store")
    standing = json.loads((folder / "tone.json").read_text())
    assert standing["agreement"][0]["method"] == "quadratic_kappa"
    (folder / "suite.toml").write_text(SUITE)
    found = measured(folder, "out")
    gates = {one.name: one.gates for one in found.head.measures}
    assert gates == {"right": False, "tone": True}
    notes = {one.name: one.note for one in found.head.measures}
    assert "never calibrated" in notes["right"]
    values = {s.example_id: s.value("tone") for s in found.samples}
    assert values["1"] == pytest.approx(0.8 * 5 + 0.2 * 4)
    assert values["0"] == pytest.approx(0.8 * 1 + 0.2 * 2)


def test_answers_are_drawn_labelled_and_the_rate_corrected(folder: Path) -> None:
    (folder / "suite.toml").write_text(SUITE.replace('calibration = "tone.json"\n', ""))
    measured(folder, "out")
    run("judges", "sample", "out.json", "-m", "right", "-n", "12", "--label", "ok", "-o", "s.jsonl")
    drawn = [json.loads(line) for line in (folder / "s.jsonl").read_text().splitlines()]
    assert len(drawn) == 12
    for row in drawn:  # people find one of the good answers bad, and one of the bad ones good
        row["metadata"]["ok"] = int("good" in row["answer"])
    drawn[0]["metadata"]["ok"] = 1 - drawn[0]["metadata"]["ok"]
    (folder / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in drawn))
    lower = SUITE.replace('instructions = "Is', 'floor = 0.2\ninstructions = "Is')
    (folder / "suite.toml").write_text(lower.replace('calibration = "tone.json"\n', ""))
    run("judges", "calibrate", "suite.toml", "right", "--labels", "s.jsonl", "--label", "ok")
    said = run("judges", "correct", "out.json", "-m", "right").stdout
    assert said.startswith("The judge passes 50.0% of 20; people would pass ")
    assert "people would pass 50.0%" not in said


def test_a_judge_below_its_floor_ends_with_status_1(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["metadata"]["right"] = "yes" if number % 3 else "no"  # people judge by something else
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = run(*CALIBRATE, "--label", "right", status=1).stdout
    assert "May not gate" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ((*CALIBRATE[:3], "rihgt", *CALIBRATE[4:]), "Did you mean 'right'?"),
        ((*CALIBRATE, "--label", "nothing"), "0 labelled answers were found"),
        (("judges", "show", "nobody"), "No judge 'nobody' was calibrated"),
    ],
)
def test_faults_say_what_to_do(folder: Path, line: tuple[str, ...], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        CliRunner().invoke(full_app(), list(line), catch_exceptions=False)

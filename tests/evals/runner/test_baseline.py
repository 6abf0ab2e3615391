"""What a change is held against: files, runs, the last one; and instruments are never mixed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.evals.asking import ScriptedAsk, echo
from tests.evals.runner.places import CASES, SUITE, place, wish, write_suite

from santral.db.engine import Engine
from santral.errors import BadRequest, Conflict, NotFound
from santral.evals.baseline import find_baselines, held_against, read_runs
from santral.evals.evaluation import evaluate
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.git import commit_of, merge_base, worktree
from santral.evals.resume import check_same
from santral.evals.run import Run, encode_run
from santral.evals.tools import Tools
from santral.tenants.operator import local_operator

pytestmark = pytest.mark.anyio
BY = local_operator()


async def made(engine: Engine, folder: Path, run_id: str, text: str = SUITE) -> Run:
    asked = wish(write_suite(folder, text), run_id)
    (run,) = await evaluate(place(folder, engine, ScriptedAsk(echo)), asked, by=BY)
    return run


async def test_a_baseline_is_found_by_file_by_id_and_as_the_last(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    first = await made(sqlite_engine, tmp_path, "run_a")
    (tmp_path / "base.json").write_bytes(encode_run(first))
    now = wish(tmp_path / "suite.toml", "run_b")
    where = place(tmp_path, sqlite_engine, None)

    for ref in (str(tmp_path / "base.json"), "run_a", "last"):
        found = await find_baselines(where, now, ref, by=BY, tell=lambda *_: None)
        assert found["plain"].head.id == "run_a", ref
    with pytest.raises(NotFound, match="no run 'run_x'"):
        await find_baselines(where, now, "run_x", by=BY, tell=lambda *_: None)
    with pytest.raises(BadRequest, match="is no run, no file of one and no commit"):
        await find_baselines(where, now, "no-such-branch", by=BY, tell=lambda *_: None)


async def test_another_evaluator_scores_the_answers_of_the_baseline_again(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    base = await made(sqlite_engine, tmp_path, "run_a")
    stricter = SUITE + 'params = { normalise = [] }\n[[evaluators]]\nuse = "contains"\n'
    head = await made(sqlite_engine, tmp_path, "run_b", stricter)
    assert base.head.evaluators["exact"] != head.head.evaluators["exact"]
    where = place(tmp_path, sqlite_engine, None)  # nobody is asked

    now = wish(tmp_path / "suite.toml", "run_b")
    (found,) = await held_against(where, now, [head], {"plain": base}, by=BY)

    assert {one.measure.name: one.tier for one in found.measures} == {
        "exact": "noise",
        "contains": "noise",
    }
    assert found.outcome == "pass"


async def test_scoring_a_baseline_again_makes_no_failures_of_examples_that_changed(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    base = await made(sqlite_engine, tmp_path, "run_a")
    stricter = SUITE + "params = { normalise = [] }\n"
    changed = [{**case, "expected": f"question {n}"} for n, case in enumerate(CASES)]
    changed[0] |= {"input": "another question", "expected": "another question"}
    new = [{"id": f"n{n}", "input": f"new {n}", "expected": f"new {n}"} for n in range(20)]
    asked = wish(write_suite(tmp_path, stricter, [*changed[:5], *new]), "run_b")
    (head,) = await evaluate(place(tmp_path, sqlite_engine, ScriptedAsk(echo)), asked, by=BY)

    (found,) = await held_against(
        place(tmp_path, sqlite_engine, None), asked, [head], {"plain": base}, by=BY
    )

    assert found.failures_base == {}
    assert found.outcome != "infrastructure"
    assert (found.pairs, found.measures[0].n) == (4, 4)
    assert "(1 changed, 20 new, 1 gone)" in found.notes[0]


class Beside:
    """1 where the baseline has an answer to the example."""

    class Params(msgspec.Struct, frozen=True):
        pass

    measures = (Measure(name="beside", neutral=0.5),)
    version = "beside/1"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del name, params, tools

    async def __call__(self, case: Case) -> Sequence[Score]:
        return [Score(name="beside", value=float(case.other is not None))]


async def test_answers_are_compared_with_those_to_the_same_example_of_one_baseline(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    base = await made(sqlite_engine, tmp_path, "run_a")
    cases = [{**CASES[0], "input": "another question"}, *CASES[1:]]
    path = write_suite(tmp_path, SUITE.replace('"exact"', '"beside"'), cases)
    ask = ScriptedAsk(echo)
    where = replace(place(tmp_path, sqlite_engine, ask), evaluators={"beside": Beside})

    (run,) = await evaluate(where, wish(path, "run_b", baselines={"plain": base}), by=BY)

    assert [one.value("beside") for one in run.samples] == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert run.head.against == "run_a"
    other = replace(run.head, against="run_c")
    with pytest.raises(Conflict, match="against"):
        check_same(run.head, other)


def test_a_file_that_holds_no_run_says_how_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(msgspec.json.encode({"a": 1}))

    with pytest.raises(BadRequest, match="santral eval export RUN"):
        read_runs(tmp_path / "x.json")


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


async def test_commits_their_merge_base_and_their_files(tmp_path: Path) -> None:
    assert await commit_of(tmp_path) == ""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a").write_text("one")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "Begin")
    first = await commit_of(tmp_path)
    git(tmp_path, "checkout", "-q", "-b", "change")
    (tmp_path / "a").write_text("two")
    assert await commit_of(tmp_path) == f"{first}-dirty"
    git(tmp_path, "commit", "-qam", "Change")

    assert await merge_base(tmp_path, "main") == first
    async with worktree(tmp_path, first) as tree:
        assert (tree / "a").read_text() == "one"
    assert not tree.exists()
    listed = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1
    with pytest.raises(BadRequest, match="no name of a commit"):
        await merge_base(tmp_path, "--output=x")

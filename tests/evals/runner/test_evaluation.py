"""A suite from its file to runs: kept, resumed, replayed, recorded, or nowhere but in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.evals.asking import ScriptedAsk, echo
from tests.evals.runner.places import CASES, SUITE, place, wish, write_suite

from santral.db.engine import Engine
from santral.errors import BadRequest, Conflict, NotFound
from santral.evals import kept
from santral.evals.answer import Answer, Question
from santral.evals.evaluation import evaluate
from santral.evals.place import Place
from santral.evals.resume import batch_to_resume
from santral.tenants.operator import local_operator
from santral.tenants.tenant import DEFAULT_TENANT

pytestmark = pytest.mark.anyio
BY = local_operator()

RECORDED = """\
dataset = "cases.jsonl"

[[targets]]
name = "recorded"
recorded = true

[[evaluators]]
use = "exact"
"""


async def test_a_run_is_made_kept_and_says_what_it_was_made_with(
    engine: Engine, tmp_path: Path
) -> None:
    asked = wish(write_suite(tmp_path), git_sha="abc")

    (run,) = await evaluate(place(tmp_path, engine, ScriptedAsk(echo)), asked, by=BY)

    stored = await kept.load_kept(engine, DEFAULT_TENANT, "run_a", by=BY)
    assert stored == run
    assert run.head.is_complete
    assert (run.head.suite, run.head.target, run.head.git_sha) == ("suite", "plain", "abc")
    assert len(run.head.config_hash) == len(run.head.dataset_digest) == 64
    assert list(run.head.evaluators) == ["exact"]
    assert [one.value("exact") for one in run.samples] == [1.0] * 6
    assert all(one.answer.cost_nanousd == 1_000 for one in run.samples)


async def test_a_second_run_takes_answers_that_were_paid_for_and_a_fresh_one_does_not(
    engine: Engine, tmp_path: Path
) -> None:
    path = write_suite(tmp_path)
    first, second, third = ScriptedAsk(echo), ScriptedAsk(echo), ScriptedAsk(echo)

    await evaluate(place(tmp_path, engine, first), wish(path, "run_a"), by=BY)
    (again,) = await evaluate(place(tmp_path, engine, second), wish(path, "run_b"), by=BY)
    await evaluate(place(tmp_path, engine, third), wish(path, "run_c", is_fresh=True), by=BY)

    assert (len(first.asked), len(second.asked), len(third.asked)) == (6, 0, 6)
    assert all(one.answer.is_replayed for one in again.samples)
    row = await kept.show_kept(engine, DEFAULT_TENANT, "run_b", by=BY)
    assert row.cost_nanousd == 0


async def test_other_settings_of_a_target_are_other_answers(engine: Engine, tmp_path: Path) -> None:
    await evaluate(place(tmp_path, engine, ScriptedAsk(echo)), wish(write_suite(tmp_path)), by=BY)
    ask = ScriptedAsk(echo)
    warmer = SUITE.replace('"extractive"', '"extractive"\nsettings = { temperature = 1.0 }')

    await evaluate(
        place(tmp_path, engine, ask), wish(write_suite(tmp_path, warmer), "run_b"), by=BY
    )

    assert len(ask.asked) == 6


async def test_a_cancelled_run_goes_on_where_it_was(engine: Engine, tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    never = asyncio.Event()

    class Stuck(ScriptedAsk):
        async def __call__(self, question: Question) -> Answer:
            if len(self.asked) >= 3:
                await never.wait()
            return await super().__call__(question)

    where = place(tmp_path, engine, Stuck(echo))
    task = asyncio.create_task(evaluate(where, wish(path), by=BY))
    while True:
        await asyncio.sleep(0.01)
        try:
            page = await kept.page_samples(engine, DEFAULT_TENANT, "run_a", by=BY)
        except NotFound:  # it has not begun yet
            continue
        if len(page) == 3:
            break
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await kept.show_kept(engine, DEFAULT_TENANT, "run_a", by=BY)
    assert (row.state, row.head.stop_reason) == ("stopped", "cancelled")

    ask = ScriptedAsk(echo)
    on = wish(path, await batch_to_resume(where, wish(path), "last"), is_resumed=True)
    (run,) = await evaluate(place(tmp_path, engine, ask), on, by=BY)

    assert len(ask.asked) == 3
    assert run.head.is_complete
    assert run.head.id == "run_a"
    assert len(run.samples) == 6


async def test_targets_that_are_done_count_against_the_cap_of_a_run_that_goes_on(
    engine: Engine, tmp_path: Path
) -> None:
    two = "max_cost_usd = 0.000012\nconcurrency = 1\n" + SUITE.replace(
        "[[evaluators]]",
        '[[targets]]\nname = "warm"\nroute = "extractive"\nsettings = { temperature = 1.0 }\n\n'
        "[[evaluators]]",
    )
    path = write_suite(tmp_path, two)

    class Interrupted(ScriptedAsk):
        async def __call__(self, question: Question) -> Answer:
            if len(self.asked) == 6:
                raise asyncio.CancelledError
            return await super().__call__(question)

    with pytest.raises(asyncio.CancelledError):
        await evaluate(
            place(tmp_path, engine, Interrupted(echo, cost_nanousd=1_500)), wish(path), by=BY
        )
    ask = ScriptedAsk(echo, cost_nanousd=1_500)
    runs = await evaluate(place(tmp_path, engine, ask), wish(path, is_resumed=True), by=BY)

    assert [run.head.stop_reason for run in runs] == ["", "cost cap"]
    assert len(ask.asked) == 2  # with the six of the first target that is all of it


async def test_a_run_does_not_go_on_with_something_else(engine: Engine, tmp_path: Path) -> None:
    capped = SUITE.replace('"cases.jsonl"', '"cases.jsonl"\nmax_cost_usd = 0.000003', 1)
    (run,) = await evaluate(
        place(tmp_path, engine, ScriptedAsk(echo)), wish(write_suite(tmp_path, capped)), by=BY
    )
    assert run.head.stop_reason == "cost cap"
    assert not run.head.is_complete
    assert len(run.samples) == 3

    other = write_suite(tmp_path, SUITE, CASES[:5])
    with pytest.raises(Conflict, match="dataset_digest changed since it began"):
        await evaluate(
            place(tmp_path, engine, ScriptedAsk(echo)), wish(other, is_resumed=True), by=BY
        )


async def test_a_run_at_a_server_elsewhere_does_not_go_on_with_other_settings(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    class Gone(ScriptedAsk):
        async def __call__(self, question: Question) -> Answer:
            if len(self.asked) == 3:
                raise NotFound("The server is gone.")
            return await super().__call__(question)

    path = write_suite(tmp_path)
    with pytest.raises(NotFound):
        await evaluate(elsewhere(tmp_path, sqlite_engine, Gone(echo)), wish(path), by=BY)
    ask = ScriptedAsk(echo)
    warm = 'route = "extractive"\nsettings = { temperature = 1.0 }'
    path.write_text(SUITE.replace('route = "extractive"', warm))
    again = wish(path, is_resumed=True)
    with pytest.raises(Conflict, match="target changed"):
        await evaluate(elsewhere(tmp_path, sqlite_engine, ask), again, by=BY)
    path.write_text(SUITE)
    again = wish(path, is_resumed=True)
    (run,) = await evaluate(elsewhere(tmp_path, sqlite_engine, ask), again, by=BY)
    assert (len(run.samples), run.head.is_complete) == (6, True)


def elsewhere(folder: Path, engine: Engine, ask: ScriptedAsk) -> Place:
    return replace(place(folder, engine, ask), is_remote=True)


async def test_stored_outputs_are_scored_again_and_nobody_is_asked(
    engine: Engine, tmp_path: Path
) -> None:
    path = write_suite(tmp_path)
    (before,) = await evaluate(place(tmp_path, engine, ScriptedAsk(echo)), wish(path), by=BY)
    changed = write_suite(
        tmp_path,
        SUITE + '\n[[evaluators]]\nuse = "contains"\nparams = { texts = ["question"] }\n',
        [{**CASES[0], "input": "another question"}, *CASES[1:]],
    )

    (after,) = await evaluate(
        place(tmp_path, engine, None), wish(changed, "run_b", replay={"plain": before}), by=BY
    )

    assert [one.answer.error for one in after.samples] == ["not_recorded", "", "", "", "", ""]
    assert after.samples[1].value("contains") == 1.0
    assert after.samples[1].answer.is_replayed
    assert after.head.config_hash == before.head.config_hash


async def test_recorded_answers_need_no_database_and_no_gateway(tmp_path: Path) -> None:
    cases = [{**one, "answer": one["expected"]} for one in CASES[:2]]
    cases += [{**CASES[2], "answer": "wrong"}, CASES[3]]
    path = write_suite(tmp_path, RECORDED, cases)

    (run,) = await evaluate(place(tmp_path, None, None), wish(path, is_kept=False), by=BY)

    assert [one.value("exact") for one in run.samples] == [1.0, 1.0, 0.0, None]
    assert run.samples[3].answer.error == "not_recorded"
    assert run.errors("exact") == {"no_answer": 1}


async def test_every_target_is_a_run_of_its_own(engine: Engine, tmp_path: Path) -> None:
    two = SUITE.replace(
        "[[evaluators]]",
        '[[targets]]\nname = "warm"\nroute = "extractive"\nsettings = { temperature = 1.0 }\n\n'
        "[[evaluators]]",
    )
    ask = ScriptedAsk(echo)

    runs = await evaluate(place(tmp_path, engine, ask), wish(write_suite(tmp_path, two)), by=BY)

    assert [run.head.id for run in runs] == ["run_a.1", "run_a.2"]
    assert runs[0].head.config_hash != runs[1].head.config_hash
    assert {one.settings.get("temperature") for one in ask.asked} == {None, 1.0}
    assert {one.tags["eval_run"] for one in ask.asked} == {"run_a.1", "run_a.2"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"extractive"',
            '"extractve"',
            "There is no route 'extractve'. Did you mean 'extractive'?",
        ),
        ('use = "exact"', 'use = "exakt"', "suite.toml: Evaluator 'exakt': there is no evaluator"),
        ('"cases.jsonl"', '"cases.jsonl"\nsplit = "test"', "no example of cases.jsonl is chosen"),
        ('"cases.jsonl"', '"other.jsonl"', "other.jsonl cannot be read"),
        ('"cases.jsonl"', '"faq@new"', "names no version"),
        (
            'use = "exact"',
            'use = "exact"\n[[evaluators]]\nuse = "exact"',
            "two evaluators measure 'exact'",
        ),
        (
            'route = "extractive"',
            'route = "extractive"\nprompt = "assistent@1.0.0"',
            "There is no prompt 'assistent'",
        ),
    ],
)
async def test_what_cannot_be_is_said_before_anything_is_asked(
    sqlite_engine: Engine, tmp_path: Path, old: str, new: str, said: str
) -> None:
    ask = ScriptedAsk(echo)
    path = write_suite(tmp_path, SUITE.replace(old, new, 1))

    with pytest.raises((BadRequest, NotFound)) as refused:
        await evaluate(place(tmp_path, sqlite_engine, ask), wish(path), by=BY)

    assert said in refused.value.message
    assert ask.asked == []


async def test_what_is_measured_of_all_answers_together_stands_in_the_head(
    engine: Engine, tmp_path: Path
) -> None:
    suite = SUITE.replace('use = "exact"', 'use = "chrf"')
    cases = [
        {"input": "a b c", "expected": "a b c", "references": ["a b d", "x"]},
        {"input": "k l m", "expected": "k l m"},
        {"input": "no good answer is known"},
    ]
    asked = wish(write_suite(tmp_path, suite, cases))

    (run,) = await evaluate(place(tmp_path, engine, ScriptedAsk(echo)), asked, by=BY)

    stored = await kept.load_kept(engine, DEFAULT_TENANT, "run_a", by=BY)
    assert run.head.corpus == stored.head.corpus == {"chrf_corpus": pytest.approx(100.0)}

"""Runs that are kept: what a kill leaves, what is loaded again, and who may see it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.evals.runner.conftest import NOW

from santral.audit import store as audit
from santral.db.engine import Engine, reading, writing
from santral.errors import NotAllowed, NotFound
from santral.evals import kept, store
from santral.evals.answer import Answer
from santral.evals.evaluator import Measure, Score
from santral.evals.example import Example
from santral.evals.run import Run, RunHead, Sample
from santral.evals.shown import run_shown
from santral.evals.store import KeptSample
from santral.evals.summary import summary_of
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant, Principal
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree

pytestmark = pytest.mark.anyio

TENANT, OTHER = TenantId("default"), TenantId("other")
EXAMPLES = {f"e{n}": Example(id=f"e{n}", input=f"q{n}") for n in range(5)}
HEAD = RunHead(
    id="run_1",
    suite="s",
    target="t",
    route="docs",
    measures=[Measure(name="exact", is_binary=True)],
)


def sample(example: str, repeat: int = 0, value: float | None = 1.0, text: str = "a") -> Sample:
    scored = Score(name="exact", value=value, error="" if value is not None else "not_applicable")
    return Sample(
        example_id=example,
        example_hash="h" * 64,
        repeat=repeat,
        answer=Answer(text=text, cost_nanousd=10),
        scores=[scored],
    )


def viewer() -> Principal:
    return Principal(
        name="user:v",
        origin="test",
        grants=(Grant("viewer", TENANT),),
        tree=TenantTree({TENANT: None, OTHER: None}),
    )


async def begun(engine: Engine, head: RunHead = HEAD) -> kept.RunKeeper:
    await kept.begin_run(engine, TENANT, head, NOW, by=local_operator())
    return kept.RunKeeper(engine, TENANT, head.id, EXAMPLES, lambda: NOW)


async def test_samples_brought_at_the_same_time_are_all_kept(engine: Engine) -> None:
    keeper = await begun(engine)

    await asyncio.gather(*[keeper(sample(f"e{n}"), f"{n:064}") for n in range(5)])

    run = await kept.load_kept(engine, TENANT, "run_1", by=local_operator())
    assert [one.example_id for one in run.samples] == [f"e{n}" for n in range(5)]
    assert run.examples == EXAMPLES
    assert run.samples[0] == sample("e0")


async def test_answers_are_found_by_key_and_failures_and_replays_are_not_kept(
    engine: Engine,
) -> None:
    keeper = await begun(engine)
    await keeper(sample("e0"), "a" * 64)
    await keeper(
        Sample(example_id="e1", example_hash="h", repeat=0, answer=Answer(error="timeout")),
        "b" * 64,
    )
    replayed = Answer(text="old", is_replayed=True)
    await keeper(Sample(example_id="e2", example_hash="h", repeat=0, answer=replayed), "c" * 64)

    async with reading(engine) as conn:
        keys = [letter * 64 for letter in "abc"]
        found = await store.find_answers(conn, TENANT, keys)
        strangers = await store.find_answers(conn, OTHER, keys)

    assert {key[0]: answer.text for key, answer in found.items()} == {"a": "a"}
    assert strangers == {}


async def test_a_sample_that_is_made_again_replaces_the_first(engine: Engine) -> None:
    keeper = await begun(engine)
    await keeper(sample("e0", text="first"), "")
    await keeper(sample("e0", text="second"), "")

    run = await kept.load_kept(engine, TENANT, "run_1", by=local_operator())

    assert [one.answer.text for one in run.samples] == ["second"]


async def test_an_ended_run_has_a_summary(engine: Engine) -> None:
    keeper = await begun(engine)
    for one in (sample("e0"), sample("e1", value=0.0), sample("e2", value=None)):
        await keeper(one, "")
    run = await kept.load_kept(engine, TENANT, "run_1", by=local_operator())

    await kept.end_run(engine, TENANT, run, "done", 30, NOW)

    shown = await kept.show_kept(engine, TENANT, "run_1", by=local_operator())
    assert shown.state == "done"
    assert shown.summary is not None
    (exact,) = shown.summary["measures"]
    assert (exact["value"], exact["n"], exact["errors"]) == (0.5, 2, {"not_applicable": 1})
    assert exact["low"] < 0.5 < exact["high"]


async def test_pages_of_runs_and_samples_follow_each_other(engine: Engine) -> None:
    for number in range(3):
        head = RunHead(id=f"run_{number}", suite="s", target="t", route="docs")
        at = NOW + timedelta(seconds=number // 2)  # two begin at the same moment
        await kept.begin_run(engine, TENANT, head, at, by=local_operator())
    keeper = kept.RunKeeper(engine, TENANT, "run_0", EXAMPLES, lambda: NOW)
    for repeat in range(3):
        await keeper(sample("e0", repeat), "")

    first = await kept.list_kept(engine, TENANT, by=local_operator(), limit=2)
    last = first[-1].created_at, first[-1].id
    rest = await kept.list_kept(engine, TENANT, by=local_operator(), before=last)
    page = await kept.page_samples(
        engine, TENANT, "run_0", by=local_operator(), after=("e0", 0), limit=1
    )

    assert [one.id for one in first + rest] == ["run_2", "run_1", "run_0"]
    assert [one.repeat for one, _ in page] == [1]


async def test_a_deleted_run_is_gone_with_its_samples_and_noted(engine: Engine) -> None:
    keeper = await begun(engine)
    await keeper(sample("e0"), "")

    await kept.delete_kept(engine, TENANT, "run_1", by=local_operator())

    async with reading(engine) as conn:
        assert await store.count_samples(conn, TENANT, "run_1") == 0
        noted = await audit.entries_after(conn, 0, 10)
    assert [entry.action for entry in noted] == ["evals.run", "evals.delete"]
    with pytest.raises(NotFound, match="no run 'run_1'"):
        await kept.show_kept(engine, TENANT, "run_1", by=local_operator())


async def test_who_only_looks_starts_and_deletes_nothing_and_sees_nobody_elses(
    engine: Engine,
) -> None:
    await begun(engine)

    with pytest.raises(NotAllowed):
        await kept.begin_run(engine, TENANT, HEAD, NOW, by=viewer())
    with pytest.raises(NotAllowed):
        await kept.delete_kept(engine, TENANT, "run_1", by=viewer())
    with pytest.raises(NotFound):
        await kept.list_kept(engine, OTHER, by=viewer())
    assert len(await kept.list_kept(engine, TENANT, by=viewer())) == 1


async def test_old_answers_are_forgotten(engine: Engine) -> None:
    async with writing(engine) as conn:
        one = KeptSample(sample=sample("e0"), example=EXAMPLES["e0"], key="a" * 64)
        await store.put_answers(conn, TENANT, [one], NOW)
        assert await store.delete_answers(conn, TENANT, NOW) == 0
        assert await store.delete_answers(conn, TENANT, NOW + timedelta(seconds=1)) == 1


def test_a_run_in_which_nothing_was_answered_has_a_summary_too() -> None:
    found = summary_of(Run(head=HEAD, samples=[]))

    assert found.measures[0].value is None
    assert found.cost_nanousd == 0


async def test_who_may_not_read_payloads_gets_the_numbers_without_the_words(
    engine: Engine,
) -> None:
    words = "Ada's question"
    example = Example(id="e0", input=words, expected=words, metadata={"lang": "en"}, cluster="c")
    said = msgspec.structs.replace(
        sample("e0", text=words), scores=[Score(name="exact", value=0.5, reason=words)]
    )
    run = Run(head=HEAD, samples=[said], examples={"e0": example})
    shown = run_shown(run, viewer(), TENANT)
    assert words not in str(shown)
    assert shown.values("exact") == run.values("exact")
    assert (shown.examples["e0"].metadata, shown.examples["e0"].cluster) == ({"lang": "en"}, "c")
    assert run_shown(run, local_operator(), TENANT) is run
    with pytest.raises(NotAllowed):
        await kept.load_kept(engine, TENANT, "run_1", by=viewer())

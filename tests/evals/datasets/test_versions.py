"""Revisions and versions: what was committed never changes, whatever is done afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evals.datasets.conftest import NOW, TENANT

from santral.db.engine import Engine, connect, reading, sqlite_url
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.evals.datasets.change import (
    OnExisting,
    add_examples,
    change_example,
    create_dataset,
    delete_dataset,
    delete_example,
    example_history,
    examples_page,
    list_datasets,
    show_dataset,
)
from santral.evals.datasets.dataset import Changed, Dataset, Provenance, Version
from santral.evals.datasets.files import manifest_hash
from santral.evals.datasets.known import examples_of, read_version
from santral.evals.datasets.versions import commit_version, diff_versions, version_card
from santral.evals.example import Example
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Grant, Principal
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree

pytestmark = pytest.mark.anyio

HAND = Provenance()
DAYS = Example(id="days", input="Kaç gün içinde iade edebilirim?", expected="14 gün", split="test")
WHERE = Example(id="where", input="Mağaza nerede?", metadata={"topic": "yer"})


async def add(
    engine: Engine, by: Principal, *examples: Example, on_existing: OnExisting = "replace"
) -> Changed:
    sourced = [(one, HAND) for one in examples]
    return await add_examples(engine, TENANT, "faq", sourced, NOW, by=by, on_existing=on_existing)


async def commit(engine: Engine, by: Principal) -> Version:
    return (await commit_version(engine, TENANT, "faq", NOW, by=by))[0]


async def held(engine: Engine, version: int | None = None) -> Sequence[Example]:
    async with reading(engine) as conn:
        return await examples_of(conn, TENANT, "faq", version)


async def test_a_version_holds_what_was_there(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    assert await add(engine, operator, DAYS, WHERE) == Changed(created=2)
    made = await commit(engine, operator)
    assert (made.version, made.examples) == (1, 2)
    assert await held(engine) == [DAYS, WHERE]
    assert made.manifest_hash == manifest_hash([WHERE, DAYS])


async def test_a_version_stays_as_it_is_when_examples_change(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS, WHERE)
    await commit(engine, operator)
    await change_example(engine, TENANT, "faq", "days", {"expected": "30 gün"}, NOW, by=operator)
    await delete_example(engine, TENANT, "faq", "where", NOW, by=operator)
    await commit(engine, operator)
    assert await held(engine, 1) == [DAYS, WHERE]
    assert [one.expected for one in await held(engine, 2)] == ["30 gün"]
    found = await diff_versions(engine, TENANT, "faq", 1, 2, by=operator)
    assert (found.changed, found.removed, found.added) == (["days"], ["where"], [])


async def test_a_commit_of_nothing_new_gives_the_newest_version(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS)
    first = await commit(engine, operator)
    assert await add(engine, operator, DAYS) == Changed(same=1)
    again, is_new = await commit_version(engine, TENANT, "faq", NOW, by=operator)
    assert (again.version, is_new) == (first.version, False)


async def test_another_split_alone_is_a_revision_and_another_manifest(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS)
    first = await commit(engine, operator)
    await change_example(engine, TENANT, "faq", "days", {"split": "train"}, NOW, by=operator)
    second = await commit(engine, operator)
    assert second.manifest_hash != first.manifest_hash
    assert [one.split for one in await held(engine, 1)] == ["test"]
    assert (await diff_versions(engine, TENANT, "faq", 1, by=operator)).moved == ["days"]


async def test_what_is_there_is_replaced_kept_or_refused(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS)
    other = Example(id="days", input="Kaç gün?")
    with pytest.raises(Conflict, match="days"):
        await add(engine, operator, WHERE, other, on_existing="refuse")
    assert [one.example_id for one in await examples_page(engine, TENANT, "faq", by=operator)] == [
        "days"
    ]
    assert await add(engine, operator, other, on_existing="keep") == Changed(same=1)
    assert await add(engine, operator, other) == Changed(patched=1)
    kinds = [one.kind for one in await example_history(engine, TENANT, "faq", "days", by=operator)]
    assert kinds == ["patch", "create"]


async def test_an_example_that_was_deleted_can_be_made_again(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS)
    await delete_example(engine, TENANT, "faq", "days", NOW, by=operator)
    with pytest.raises(NotFound, match="days"):
        await delete_example(engine, TENANT, "faq", "days", NOW, by=operator)
    with pytest.raises(Conflict, match="no example"):
        await commit(engine, operator)
    assert await add(engine, operator, DAYS) == Changed(created=1)
    assert (await commit(engine, operator)).examples == 1


async def test_pages_go_on_after_a_key(engine: Engine, faq: Dataset, operator: Principal) -> None:
    await add(engine, operator, *(Example(id=f"q{n}", input=f"soru {n}") for n in range(5)))
    first = await examples_page(engine, TENANT, "faq", by=operator, limit=3)
    rest = await examples_page(
        engine, TENANT, "faq", by=operator, after=first[-1].example_id, limit=3
    )
    assert [one.example_id for one in [*first, *rest]] == ["q0", "q1", "q2", "q3", "q4"]


async def test_more_examples_than_a_page_are_read_whole(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, *(Example(id=f"q{n}", input=f"soru {n}") for n in range(2_500)))
    await commit(engine, operator)
    assert len(await held(engine)) == 2_500


async def test_a_name_of_nothing_is_answered_with_the_nearest(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    with pytest.raises(NotFound, match="Did you mean 'faq'"):
        await show_dataset(engine, TENANT, "fqa", by=operator)
    with pytest.raises(NotFound, match="no version yet"):
        await held(engine)
    with pytest.raises(BadRequest, match="a/b"):
        await create_dataset(engine, TENANT, "a/b", NOW, by=operator)
    with pytest.raises(Conflict, match="faq"):
        await create_dataset(engine, TENANT, "faq", NOW, by=operator)


async def test_a_change_that_makes_no_example_is_refused(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS)
    for changes in ({"input": None}, {"id": "x"}, {"inputt": "x"}, {"metadata": 3}):
        with pytest.raises(BadRequest):
            await change_example(engine, TENANT, "faq", "days", changes, NOW, by=operator)


async def test_a_data_set_with_examples_goes_only_when_it_is_said(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS)
    await commit(engine, operator)
    with pytest.raises(Conflict, match="1 examples and 1 versions"):
        await delete_dataset(engine, TENANT, "faq", by=operator)
    await delete_dataset(engine, TENANT, "faq", by=operator, is_forced=True)
    assert await list_datasets(engine, TENANT, by=operator) == []


async def test_who_may_only_read_changes_nothing(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    reader = Principal(
        name="user:r",
        origin="test",
        grants=(Grant("reviewer", TenantId(TENANT)),),
        tree=TenantTree({TenantId(TENANT): None}),
    )
    await add(engine, operator, DAYS)
    assert (await show_dataset(engine, TENANT, "faq", by=reader)).examples == 1
    with pytest.raises(NotAllowed):
        await add(engine, reader, WHERE)
    with pytest.raises(NotAllowed):
        await commit(engine, reader)


async def test_the_card_is_kept_with_its_version(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await add(engine, operator, DAYS, WHERE)
    made = await commit(engine, operator)
    card = await version_card(engine, TENANT, "faq", None, by=operator)
    assert made.card["examples"] == card.examples == 2
    assert card.splits == {"(none)": 1, "test": 1}


IDS = st.sampled_from(["a", "b", "c"])
EDITS = st.one_of(
    st.tuples(st.just("put"), IDS, st.sampled_from(["bir", "iki"]), st.sampled_from(["", "test"])),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("commit")),
)


@dataclasses.dataclass
class Told:
    """What was seen of every version when it was made."""

    contents: dict[int, dict[str, Example]]
    manifests: dict[int, str]


@given(edits=st.lists(EDITS, max_size=14))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_sequence_of_edits_changes_a_version(
    edits: list[tuple[str, ...]], sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("edits")
    shutil.copy(sqlite_template, folder / "santral.db")
    asyncio.run(_play(folder, edits))


async def _play(folder: Path, edits: Sequence[tuple[str, ...]]) -> None:
    engine, by = connect(sqlite_url(folder)), local_operator()
    try:
        await create_tenant(engine, TENANT, "Acme", NOW, by=by)
        await create_dataset(engine, TENANT, "faq", NOW, by=by)
        there: dict[str, Example] = {}
        told = Told({}, {})
        for edit in edits:
            await _edit(engine, by, there, told, edit)
        for version, content in told.contents.items():
            async with reading(engine) as conn:
                found, examples = await read_version(conn, TENANT, "faq", version)
            assert {one.id: one for one in examples} == content
            assert found.manifest_hash == told.manifests[version] == manifest_hash(examples)
        pairs = [(a, b) for a in told.contents for b in told.contents]
        for a, b in pairs:
            is_same = told.contents[a] == told.contents[b]
            assert (told.manifests[a] == told.manifests[b]) is is_same
    finally:
        await engine.dispose()


async def _edit(
    engine: Engine, by: Principal, there: dict[str, Example], told: Told, edit: tuple[str, ...]
) -> None:
    match edit:
        case ("put", id_, text, split):
            there[id_] = Example(id=id_, input=text, split=split)
            await add(engine, by, there[id_])
        case ("delete", id_) if id_ in there:
            del there[id_]
            await delete_example(engine, TENANT, "faq", id_, NOW, by=by)
        case ("commit",) if there:
            made = await commit(engine, by)
            told.contents.setdefault(made.version, dict(there))
            told.manifests.setdefault(made.version, made.manifest_hash)
        case _:
            pass

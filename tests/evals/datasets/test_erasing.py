"""An erased person: gone from every revision and version, whose manifests say what was there."""

from __future__ import annotations

import msgspec
import pytest
from tests.evals.datasets.conftest import NOW, TENANT

from santral.db.engine import Engine, reading, writing
from santral.evals.answer import Answer
from santral.evals.datasets.change import add_examples, change_example, example_history
from santral.evals.datasets.dataset import Dataset, Provenance
from santral.evals.datasets.known import read_version
from santral.evals.datasets.versions import commit_version, diff_versions
from santral.evals.example import Example, digest_of
from santral.evals.run import Sample
from santral.evals.store import KeptSample, put_samples
from santral.privacy.places.datasets import Examples
from santral.privacy.subject import Subject
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

ACME = TenantId(TENANT)
AYSE = Subject(user="ayse-41", sessions=("s-9",), texts=("ayse@example.com",))
HERS = Example(id="tr_1", input="Borcum ne kadar?")
IN_SESSION = Example(id="tr_2", input="Neredesiniz?")
OTHERS = Example(id="other", input="Yaz: AYSE@example.com", expected="Tamam.")
FROM_HER = Provenance(origin="trace", source="1", user="ayse-41", session="s-9")
FROM_SESSION = Provenance(origin="trace", source="2", session="s-9")


async def fill(engine: Engine, by: Principal) -> None:
    made = [(HERS, FROM_HER), (IN_SESSION, FROM_SESSION), (OTHERS, Provenance())]
    await add_examples(engine, TENANT, "faq", made, NOW, by=by)
    await commit_version(engine, TENANT, "faq", NOW, by=by)
    await change_example(engine, TENANT, "faq", "tr_1", {"expected": "Yok."}, NOW, by=by)
    sample = Sample(
        example_id="tr_1", example_hash=digest_of(HERS), repeat=0, answer=Answer(text="5 TL")
    )
    async with writing(engine) as conn:
        kept = KeptSample(sample=sample, example=HERS, key="k")
        await put_samples(conn, TENANT, "run", [kept], NOW)


async def test_nothing_of_the_person_is_found_afterwards(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await fill(engine, operator)
    place = Examples(engine, lambda: NOW)
    before = await place.find(ACME, AYSE)
    assert before.own["examples"] == 2
    assert before.own["answers"] >= 1
    assert before.mentions == 1
    assert [one["revision"] async for one in place.export(ACME, AYSE)] == [1, 2, 1]
    await place.erase(ACME, AYSE)
    await place.erase(ACME, AYSE)  # as after a kill
    assert (await place.find(ACME, AYSE)).count == 0


async def test_a_version_keeps_its_manifest_and_says_what_is_gone(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await fill(engine, operator)
    async with reading(engine) as conn:
        before, _ = await read_version(conn, TENANT, "faq", 1)
    await Examples(engine, lambda: NOW).erase(ACME, AYSE)
    async with reading(engine) as conn:
        after, left = await read_version(conn, TENANT, "faq", 1)
    assert after == before
    assert after.examples == 3
    (other,) = left
    assert msgspec.structs.replace(other, input=OTHERS.input) == OTHERS
    assert other.input == "Yaz: [erased]"
    history = await example_history(engine, TENANT, "faq", "tr_1", by=operator)
    assert [(one.kind, one.content) for one in history] == [
        ("erase", None), ("patch", None), ("create", None),
    ]  # fmt: skip
    assert history[-1].content_hash == digest_of(HERS)
    assert all((one.subject, one.provenance) == ("", None) for one in history)


async def test_later_versions_do_not_hold_the_erased(
    engine: Engine, faq: Dataset, operator: Principal
) -> None:
    await fill(engine, operator)
    await Examples(engine, lambda: NOW).erase(ACME, AYSE)
    made, is_new = await commit_version(engine, TENANT, "faq", NOW, by=operator)
    assert (made.examples, is_new) == (1, True)
    found = await diff_versions(engine, TENANT, "faq", 1, 2, by=operator)
    assert found.removed == ["tr_1", "tr_2"]

"""One person's part of what is reviewed: exported, deleted, or taken out of other people's."""

from __future__ import annotations

import secrets
from pathlib import Path
from random import Random

import pytest
from tests.review.people import NOW, add_item, make_queue, rater

from santral.config.load import load
from santral.db.engine import Engine, reading, writing
from santral.privacy.places.reviews import Reviews
from santral.privacy.subject import subject_of
from santral.review import store
from santral.review.content import kept, opened
from santral.review.item import Content, Said, Shown
from santral.review.rating.submit import submit
from santral.review.rating.take import take_next
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import wrappers_from
from santral.tenants.tenant import TenantId
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio
ACME = TenantId("acme")


@pytest.fixture
def sealer(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sealer:
    monkeypatch.setenv("MASTER_KEY", secrets.token_bytes(32).hex())
    file = tmp_path / "santral.toml"
    file.write_text('[data]\nfolder = "."\n[secrets]\nmaster_key = "env:MASTER_KEY"\n')
    return Sealer(engine, wrappers_from(load(file, {}).config.secrets))


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_a_person_is_found_exported_and_erased(
    engine: Engine, sealer: Sealer, is_sealed: bool
) -> None:
    await make_queue(engine)
    used = sealer if is_sealed else None
    for number, subject in enumerate(("u1", "session:s1", "u2")):
        shown = Shown(said=[Said("user", f"I am Ada Lovelace, {number}")], answers=["Hello."])
        content = await kept(used, "acme", f"item_daily_{number}", Content(shown=shown))
        assert ("Ada" in str(content)) is not is_sealed
        await add_item(engine, number, subject=subject, content=content)
    who = rater("bob")
    for _ in range(3):
        taken = await take_next(engine, used, "acme", "daily", NOW, by=who, chance=Random(1).random)
        assert taken is not None
        await submit(
            engine, "acme", "daily", taken.item_id, {"correct": 1}, NOW, by=who,
            comment="Ada Lovelace is right",
        )  # fmt: skip
    place = Reviews(engine, TraceStore(Path(":memory:"), sealer=used))
    ada = subject_of("u1", ["s1"], ["Ada Lovelace"])
    found = await place.find(ACME, ada)
    assert (found.own, found.mentions) == ({"items": 2}, 1)
    exported = [row async for row in place.export(ACME, ada)]
    assert [row["shown"]["said"][0][1] if isinstance(row["shown"]["said"][0], list)
            else row["shown"]["said"][0]["text"] for row in exported] == [
        "I am Ada Lovelace, 0", "I am Ada Lovelace, 1",
    ]  # fmt: skip
    await place.erase(ACME, ada)
    assert (await place.find(ACME, ada)).count == 0
    async with reading(engine) as conn:
        (left,) = await store.list_items(conn, "acme", "daily", (), limit=9)
        (task,) = await store.tasks_of(conn, "acme", left.id)
    assert (await opened(used, left)).said[0].text == "I am [erased], 2"
    assert task.comment == "[erased] is right"


async def test_a_destroyed_data_key_leaves_nothing_to_see(engine: Engine, sealer: Sealer) -> None:
    await make_queue(engine)
    content = await kept(sealer, "acme", "item_daily_0", Content(shown=Shown(answers=["Yes."])))
    made = await add_item(engine, content=content)
    assert (await opened(sealer, made)).answers == ["Yes."]
    await sealer.destroy("acme", rater("owner").actor)
    assert "erased" in (await opened(sealer, made)).answers[0]
    async with writing(engine) as conn:
        await store.delete_queue(conn, "acme", "daily")

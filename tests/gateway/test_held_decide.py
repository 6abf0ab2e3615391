"""What reviewers do with held answers, and what is noted of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec import Raw
from tests.db.databases import anyio_backend, sqlite_template
from tests.review.people import rater

from santral.audit import store as audit
from santral.config.feedback import HeldConfig
from santral.db.engine import Engine, connect, reading, sqlite_url
from santral.errors import Conflict, NotAllowed, NotFound
from santral.gateway.held.answer import Asked, Decision, Held
from santral.gateway.held.cabinet import HeldCabinet
from santral.gateway.held.decide import list_held, read_held, refuse, release
from santral.privacy.places.held import HeldAnswers
from santral.privacy.subject import subject_of
from santral.tenants.tenant import TenantId
from santral.wire.delta import ChoiceDelta

__all__ = ["anyio_backend", "sqlite_template"]

pytestmark = pytest.mark.anyio
ACME = TenantId("acme")
NOW = 1_790_000_000.0


def make_held(number: int, **changes: object) -> Held:
    fields: dict[str, object] = {
        "trace_id": f"{number:032x}", "request_id": f"req_{number}", "tenant_id": "acme",
        "key_id": "k1", "route": "held", "model": "m", "held_at": NOW, "expires_at": NOW + 60,
        "on_expiry": "refuse", "check": "pii", "reason": "1 EMAIL",
        "asked": Asked(path="/v1/chat/completions", body=b'{"messages": ["I am Ada Veli"]}'),
        "messages": Raw(b'[{"role":"user","content":"I am Ada Veli"}]'),
        "choices": [ChoiceDelta(text="Hello Ada Veli.", finish_reason="stop")],
        "user": "ada", "session": "s1",
    }  # fmt: skip
    return Held(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


@pytest.fixture
async def cabinet(tmp_path: Path) -> HeldCabinet:
    made = HeldCabinet(tmp_path / "objects", time.time)
    for number in (1, 2):
        await made.put(make_held(number, held_at=NOW + number), HeldConfig())
    return made


@pytest.fixture
def engine(tmp_path: Path, sqlite_template: Path) -> Engine:
    (tmp_path / "santral.db").write_bytes(sqlite_template.read_bytes())
    return connect(sqlite_url(tmp_path))


async def acts(engine: Engine) -> list[tuple[str, str]]:
    async with reading(engine) as conn:
        return [(e.action, e.object) for e in await audit.entries_after(conn, 0, 100)]


async def test_every_decision_is_noted_and_made_once(cabinet: HeldCabinet, engine: Engine) -> None:
    by, first = rater("ayse"), make_held(1).id
    assert [one.held.id for one in await list_held(cabinet, ACME, NOW, by=by)] == [
        make_held(2).id, first,
    ]  # fmt: skip
    await release(cabinet, engine, ACME, first, NOW, by=by, replacement="Call us.")
    assert await acts(engine) == [("held.replace", first)]
    with pytest.raises(Conflict):
        await refuse(cabinet, engine, ACME, first, NOW, by=by, reason="late")
    found = await read_held(cabinet, ACME, first, NOW, by=by)
    assert found.status == "replaced"
    assert found.decision is not None
    assert (found.decision.by, found.decision.replacement) == ("user:ayse", "Call us.")
    assert len(await acts(engine)) == 1
    assert len(await list_held(cabinet, ACME, NOW, by=by)) == 1
    await engine.dispose()


async def test_a_decision_that_comes_too_late_changes_nothing(
    cabinet: HeldCabinet, engine: Engine
) -> None:
    with pytest.raises(Conflict, match="expired"):
        await release(cabinet, engine, ACME, make_held(1).id, NOW + 61, by=rater("ayse"))
    assert await acts(engine) == []
    await engine.dispose()


async def test_a_refusal_stays_as_long_as_its_answer_however_many_came_after(
    tmp_path: Path,
) -> None:
    cabinet, settings = HeldCabinet(tmp_path, time.time), HeldConfig(max_per_tenant=3)
    refused = make_held(9)
    for held in (make_held(1), make_held(2), refused):
        await cabinet.put(held, settings)
    for held in (refused, make_held(1), make_held(2)):
        await cabinet.decide(held, Decision(status="refused", by="u", at=NOW))
    await cabinet.put(make_held(3), settings)
    await cabinet.decide(make_held(3), Decision(status="released", by="u", at=NOW))
    await cabinet.sweep(settings)
    kept = {held.id for held in await cabinet.list("acme")}
    assert refused.id in kept
    assert make_held(1).id not in kept
    assert await cabinet.decision("acme", refused.id) is not None
    assert await cabinet.decision("acme", make_held(1).id) is None


async def test_who_may_not_rate_decides_nothing(cabinet: HeldCabinet, engine: Engine) -> None:
    with pytest.raises(NotAllowed):
        await release(cabinet, engine, ACME, make_held(1).id, NOW, by=rater("v", "viewer"))
    with pytest.raises(NotFound):
        await list_held(cabinet, TenantId("globex"), NOW, by=rater("ayse"))
    with pytest.raises(NotFound):
        await release(cabinet, engine, ACME, "held_" + "9" * 32, NOW, by=rater("ayse"))
    await engine.dispose()


async def test_a_persons_held_answers_are_found_and_erased(
    cabinet: HeldCabinet, tmp_path: Path
) -> None:
    await cabinet.put(make_held(3, user="veli"), HeldConfig())
    place = HeldAnswers(tmp_path / "objects")
    subject = subject_of("ada", [], ["Ada Veli"])
    found = await place.find(ACME, subject)
    assert (found.own, found.mentions) == ({"held answers": 2}, 1)
    assert len([one async for one in place.export(ACME, subject)]) == 2
    await place.erase(ACME, subject)
    assert (await place.find(ACME, subject)).count == 0
    left = await cabinet.get(ACME, make_held(3).id, float("inf"))
    assert left is not None
    assert (left.text, b"Ada" in left.asked.body) == ("Hello [erased].", False)
    assert all(b"Ada" not in path.read_bytes() for path in tmp_path.rglob("held*/*.json"))

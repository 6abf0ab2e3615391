"""Answers that wait: first in their queue, and ended by one decision."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from tests.review.people import NOW, add_item, item, make_queue, rater

from santral.audit import store as audit
from santral.config.feedback import HeldConfig
from santral.db.engine import Engine, reading
from santral.errors import BadRequest, Conflict
from santral.gateway.held.answer import Asked, Held
from santral.gateway.held.cabinet import HeldCabinet
from santral.review.held import Decided, collect_held, decide_held
from santral.review.rating.submit import submit
from santral.review.rating.take import Taken, take_next
from santral.review.seat import Seat
from santral.wire.delta import ChoiceDelta

pytestmark = pytest.mark.anyio
HELD_RULE = {"kind": "held", "route": "docs"}


def held(number: int, **fields: Any) -> Held:
    known: dict[str, Any] = {
        "trace_id": f"{number:032x}", "request_id": f"req_{number}", "tenant_id": "acme",
        "key_id": "key", "route": "docs", "model": "docs", "held_at": NOW.timestamp(),
        "expires_at": NOW.timestamp() + 600, "on_expiry": "refuse", "check": "pii",
        "reason": "a name", "asked": Asked(path="/v1/chat/completions", body=b"{}"),
        "messages": Raw(b'[{"role": "user", "content": "Who?"}]'),
        "choices": [ChoiceDelta(text="Ada.", finish_reason="stop")], "user": "u1", **fields,
    }  # fmt: skip
    return Held(**known)


@pytest.fixture
def seat(engine: Engine, tmp_path: Path) -> Seat:
    cabinet = HeldCabinet(tmp_path / "objects", NOW.timestamp)
    return Seat(engine, None, cabinet, lambda: 0.9)


async def collect(seat: Seat, minutes: int = 0) -> int:
    now = NOW + timedelta(minutes=minutes)
    return await collect_held(seat.engine, None, seat.cabinet, now)


async def take(seat: Seat) -> Taken | None:
    return await take_next(
        seat.engine, None, "acme", "daily", NOW, by=rater("ada"), chance=seat.chance
    )


async def decide(seat: Seat, taken: Taken, decided: Decided, **labels: Any) -> str:
    return await decide_held(
        seat, "acme", "daily", taken.item_id, decided, labels, NOW, by=rater("ada")
    )


async def test_an_answer_that_waits_comes_first_and_is_released(seat: Seat) -> None:
    await make_queue(seat.engine, rules=[HELD_RULE])
    await add_item(seat.engine, 7)
    await seat.cabinet.put(held(1), HeldConfig())
    await seat.cabinet.put(held(2, route="other"), HeldConfig())
    assert await collect(seat) == 1
    assert await collect(seat) == 0
    taken = await take(seat)
    assert taken is not None
    assert (taken.kind, taken.shown.answers) == ("held", ["Ada."])
    assert taken.shown.said[0].text == "Who?"
    assert taken.expires_at.startswith("2026-11-22T12:10")
    with pytest.raises(BadRequest, match="release, replace or refuse"):
        await submit(
            seat.engine, "acme", "daily", taken.item_id, {"correct": 1}, NOW, by=rater("ada")
        )
    assert await decide(seat, taken, Decided(verb="release"), correct=1) == "done"
    found = await seat.cabinet.decision("acme", held(1).id)
    assert found is not None
    assert (found.status, found.by) == ("released", "user:ada")
    closed = await item(seat.engine, taken.item_id)
    assert (closed.state, closed.outcome) == ("done", {"correct": 1})
    async with reading(seat.engine) as conn:
        rows = await audit.entries_after(conn, 0, 100)
    assert rows[-1].action == "held.release"


async def test_a_replacement_and_a_refusal_need_words(seat: Seat) -> None:
    await make_queue(seat.engine, rules=[HELD_RULE])
    for number in (1, 2):
        await seat.cabinet.put(held(number), HeldConfig())
    await collect(seat)
    for decided, status in (
        (Decided(verb="replace", replacement="Somebody."), "replaced"),
        (Decided(verb="refuse", reason="a name"), "refused"),
    ):
        taken = await take(seat)
        assert taken is not None
        with pytest.raises(BadRequest):
            await decide(seat, taken, Decided(verb=decided.verb))
        await decide(seat, taken, decided)
        one = await item(seat.engine, taken.item_id)
        found = await seat.cabinet.decision("acme", one.held_id)
        assert found is not None
        assert found.status == status


async def test_what_waits_no_more_is_set_aside_and_who_comes_late_is_told(seat: Seat) -> None:
    await make_queue(seat.engine, rules=[HELD_RULE])
    await seat.cabinet.put(held(1), HeldConfig())
    await collect(seat)
    taken = await take(seat)
    assert taken is not None
    await collect(seat, minutes=11)
    assert (await item(seat.engine, taken.item_id)).state == "skipped"
    with pytest.raises(Conflict, match="not yours any more"):
        await decide(seat, taken, Decided(verb="release"))

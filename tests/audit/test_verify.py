"""Attacks on the log: each is found, and its first bad number named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from santral.audit import store
from santral.audit import verify as walking
from santral.audit.chain import Chain
from santral.audit.entry import GENESIS, Entry, Link, Note, chained, digest
from santral.audit.note import Actor, note_all
from santral.audit.retain import cut_before, months_before
from santral.audit.verify import verify
from santral.audit.witness import LINE_EVERY, Sighting, Witness
from santral.db.engine import Connection, Engine, reading, writing

pytestmark = pytest.mark.anyio

ADA = Actor("user:usr_ada", "203.0.113.7")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROWS = 30


def notes(
    count: int, first: datetime = NOON, every: timedelta = timedelta(seconds=1)
) -> list[Note]:
    return [
        Note(
            actor=ADA,
            action="keys.revoke",
            object=f"key:key_{number}",
            tenant_id="acme",
            before={"state": "in force"},
            after={"state": "revoked", "weight": 0.1},
            occurred_at=first + number * every,
        )
        for number in range(count)
    ]


async def fill(engine: Engine, count: int = ROWS) -> None:
    async with writing(engine) as conn:
        await note_all(conn, notes(count))


async def do(engine: Engine, *statements: str) -> None:
    async with writing(engine) as conn:
        for statement in statements:
            await conn.execute(text(statement))


async def every_entry(engine: Engine) -> list[Entry]:
    async with reading(engine) as conn:
        return await store.entries_after(conn, 0, 10_000)


async def rewrite(engine: Engine, entries: list[Entry]) -> None:
    await do(engine, "DELETE FROM audit_log")
    async with writing(engine) as conn:
        await store.insert_entries(conn, entries)


def rechained(entries: list[Entry], beginning: Link | None = None) -> list[Entry]:
    """Return ``entries`` with numbers and hashes made anew: what somebody does who knows how."""
    link, made = beginning or Link(0, GENESIS), list[Entry]()
    for entry in entries:
        entry = msgspec.structs.replace(
            entry, number=link.number + 1, previous_hash=link.hash, hash=""
        )
        entry = msgspec.structs.replace(entry, hash=digest(entry))
        made.append(entry)
        link = entry.link
    return made


async def broken_at(engine: Engine, sightings: list[Sighting] | None = None) -> int | None:
    found = await verify(engine, sightings or [])
    return None if found.broken is None else found.broken.number


async def test_a_log_that_nobody_touched_holds(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "BATCH_ROWS", 7)
    await fill(engine)
    seen: list[tuple[int, int]] = []
    found = await verify(engine, [], lambda done, total: seen.append((done, total)))
    assert (found.broken, found.rows, found.first, found.last.number) == (None, ROWS, 1, ROWS)
    assert seen == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]


async def test_an_empty_log_holds(engine: Engine) -> None:
    found = await verify(engine, [])
    assert (found.broken, found.rows, found.last) == (None, 0, Link(0, GENESIS))


@pytest.mark.parametrize(
    "change",
    [
        "occurred_at = '2020-01-01 00:00:00+00:00'",
        "tenant_id = 'other'",
        "actor = 'user:usr_eve'",
        "action = 'keys.create'",
        "object = 'key:key_x'",
        "before = NULL",
        'after = \'{"state": "revoked", "weight": 0.2}\'',
        "origin = 'cli'",
        f"previous_hash = '{'1' * 64}'",
        f"hash = '{'1' * 64}'",
    ],
)
async def test_a_change_of_any_column_is_found(engine: Engine, change: str) -> None:
    await fill(engine)
    await do(engine, f"UPDATE audit_log SET {change} WHERE number = 12")
    assert await broken_at(engine) == 12


async def test_a_change_with_its_hash_made_anew_is_found(engine: Engine) -> None:
    await fill(engine)
    entries = await every_entry(engine)
    changed = msgspec.structs.replace(entries[11], actor="user:usr_eve")
    entries[11] = msgspec.structs.replace(changed, hash=digest(changed))
    await rewrite(engine, entries)
    assert await broken_at(engine) == 12


async def test_a_removed_row_is_found(engine: Engine) -> None:
    await fill(engine)
    await do(engine, "DELETE FROM audit_log WHERE number = 12")
    assert await broken_at(engine) == 12


async def test_a_removed_beginning_is_found(engine: Engine) -> None:
    await fill(engine)
    await do(engine, "DELETE FROM audit_log WHERE number < 4")
    assert await broken_at(engine) == 1


async def test_two_rows_that_changed_places_are_found(engine: Engine) -> None:
    await fill(engine)
    entries = await every_entry(engine)
    a, b = entries[11], entries[14]
    entries[11] = msgspec.structs.replace(b, number=a.number)
    entries[14] = msgspec.structs.replace(a, number=b.number)
    await rewrite(engine, entries)
    assert await broken_at(engine) == 12


async def test_an_inserted_row_is_found(engine: Engine) -> None:
    await fill(engine)
    entries = await every_entry(engine)
    extra = msgspec.structs.replace(entries[11], object="key:key_extra")
    extra = msgspec.structs.replace(extra, hash=digest(extra))
    later = [msgspec.structs.replace(entry, number=entry.number + 1) for entry in entries[11:]]
    await rewrite(engine, [*entries[:11], extra, *later])
    assert await broken_at(engine) in (12, 13)


async def test_a_row_before_the_beginning_is_found(engine: Engine) -> None:
    await fill(engine)
    (first, *_) = await every_entry(engine)
    async with writing(engine) as conn:
        await store.insert_entries(conn, [msgspec.structs.replace(first, number=0)])
    assert await broken_at(engine) == 0


async def test_a_cut_tail_is_found_by_what_was_seen(engine: Engine, tmp_path: Path) -> None:
    witness = Witness(tmp_path)
    await fill(engine)
    await witness.look(engine)
    assert await broken_at(engine, witness.sightings()) is None
    await do(engine, "DELETE FROM audit_log WHERE number > 20")
    assert await broken_at(engine) is None  # nothing inside the database can show it
    assert await broken_at(engine, witness.sightings()) == 21


@pytest.mark.parametrize("more", [0, 5, 30])
async def test_a_tail_cut_under_the_eyes_of_the_witness_is_found(
    engine: Engine, tmp_path: Path, more: int
) -> None:
    now = [NOON]
    witness = Witness(tmp_path, lambda: now[0])
    await fill(engine, 10)
    await witness.look(engine)
    now[0] += timedelta(seconds=2)  # no line for what only grows is due
    await fill(engine, 20)
    await witness.look(engine)
    await do(engine, "DELETE FROM audit_log WHERE number > 20")
    await fill(engine, more)
    for _ in range(3):
        now[0] += timedelta(seconds=2)
        await Witness(tmp_path, lambda: now[0]).look(engine)  # also after a restart
        await witness.look(engine)
    assert await broken_at(engine, witness.sightings()) == (11 if more > 5 else 21 + more)


async def test_an_emptied_log_is_found_by_what_was_seen(engine: Engine, tmp_path: Path) -> None:
    witness = Witness(tmp_path)
    await fill(engine)
    await witness.look(engine)
    await do(engine, "DELETE FROM audit_log")
    assert await broken_at(engine, witness.sightings()) == 1


async def test_a_history_written_anew_is_found_by_what_was_seen(
    engine: Engine, tmp_path: Path
) -> None:
    now = [NOON]
    witness = Witness(tmp_path, lambda: now[0])
    for _ in range(3):
        await fill(engine, 10)
        await witness.look(engine)
        now[0] += LINE_EVERY
    entries = await every_entry(engine)
    entries[14] = msgspec.structs.replace(entries[14], actor="user:usr_eve")
    await rewrite(engine, rechained(entries))
    assert await broken_at(engine) is None
    found = await verify(engine, witness.sightings())
    assert found.broken is not None
    assert found.broken.number == 11  # what was seen at row 10 still agrees
    assert "a row of 11 to 20" in found.broken.reason


async def test_rows_cut_off_and_others_added_are_found(engine: Engine, tmp_path: Path) -> None:
    witness = Witness(tmp_path)
    await fill(engine)
    await witness.look(engine)
    await do(engine, "DELETE FROM audit_log WHERE number > 20")
    await fill(engine, 20)
    assert await broken_at(engine, witness.sightings()) == 1  # nothing before row 30 was seen


async def test_a_witness_after_a_restart_goes_on(engine: Engine, tmp_path: Path) -> None:
    await fill(engine, 5)
    await Witness(tmp_path).look(engine)
    await fill(engine, 5)
    await Witness(tmp_path).look(engine)
    seen = Witness(tmp_path).sightings()
    assert [sighting.number for sighting in seen] == [5, 10, 10]
    with Witness(tmp_path).seen_file.open("ab") as torn:
        torn.write(b'{"number":9')
    assert Witness(tmp_path).sightings() == seen


# retention


async def months_of_rows(engine: Engine) -> None:
    """Twenty rows, one a month: the last one now."""
    async with writing(engine) as conn:
        every = timedelta(days=30)
        await note_all(conn, notes(20, NOON - 19 * every, every))


async def test_retention_keeps_its_months_and_the_chain_holds(engine: Engine) -> None:
    await months_of_rows(engine)
    assert await cut_before(engine, months_before(NOON, 12), lambda: NOON) == 7
    found = await verify(engine, [])
    assert (found.broken, found.first, found.cut_up_to, found.rows) == (None, 8, 7, 14)
    entries = await every_entry(engine)
    assert entries[0].occurred_at >= months_before(NOON, 12)
    assert (entries[-1].action, entries[-1].object) == ("audit.cut", "audit:7")
    assert await cut_before(engine, months_before(NOON, 12), lambda: NOON) == 0


async def test_retention_verifies_after_every_batch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santral.audit.retain.BATCH_ROWS", 3)
    await months_of_rows(engine)
    broken: list[int | None] = []

    async def look(pause_s: float) -> None:
        broken.append(await broken_at(engine))

    assert await cut_before(engine, months_before(NOON, 12), lambda: NOON, look) == 7
    assert broken == [None, None, None]


async def test_a_log_of_old_rows_alone_can_be_cut_and_goes_on(engine: Engine) -> None:
    await fill(engine)
    later = NOON + timedelta(days=500)
    assert await cut_before(engine, months_before(later, 12), lambda: later) == ROWS
    assert await cut_before(engine, months_before(later, 12), lambda: later) == 0
    await fill(engine, 2)
    assert (await verify(engine, [])).rows == 3
    much_later = NOON + timedelta(days=2000)
    assert await cut_before(engine, months_before(much_later, 12), lambda: much_later) == 3
    assert await broken_at(engine) is None


async def test_a_beginning_that_somebody_moved_is_found(engine: Engine) -> None:
    await fill(engine)
    entries = await every_entry(engine)
    await do(
        engine,
        "DELETE FROM audit_log WHERE number <= 12",
        f"UPDATE audit_anchor SET number = 12, hash = '{entries[11].hash}'",
    )
    assert await broken_at(engine) == 12


async def test_a_forged_cut_of_young_rows_is_found_by_what_was_seen(
    engine: Engine, tmp_path: Path
) -> None:
    witness = Witness(tmp_path, lambda: NOON)
    await fill(engine)
    await witness.look(engine)
    await fill(engine)
    # Eve calls retention itself, with a moment that no setting allows.
    await cut_before(engine, NOON + timedelta(seconds=40), lambda: NOON + timedelta(minutes=1))
    assert await broken_at(engine) is None
    assert await broken_at(engine, witness.sightings()) == ROWS


async def test_a_walk_goes_on_where_retention_cut_meanwhile(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "BATCH_ROWS", 2)
    await months_of_rows(engine)
    entries_after, cut = store.entries_after, list[int]()

    async def cutting(conn: Connection, number: int, limit: int) -> list[Entry]:
        if number == 2 and not cut:
            cut.append(await cut_before(engine, months_before(NOON, 12), lambda: NOON))
        return await entries_after(conn, number, limit)

    monkeypatch.setattr(store, "entries_after", cutting)
    found = await verify(engine, [])
    assert cut == [7]
    assert (found.broken, found.first, found.rows) == (None, 8, 14)


def test_months_are_those_of_the_calendar() -> None:
    assert months_before(datetime(2026, 8, 31, tzinfo=UTC), 6) == datetime(2026, 2, 28, tzinfo=UTC)
    assert months_before(datetime(2026, 1, 15, tzinfo=UTC), 12) == datetime(2025, 1, 15, tzinfo=UTC)


# by property: whatever is done to a chain that was seen, it is found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_change_of_a_chain_stays_unseen(data: st.DataObject) -> None:
    link, entries = Link(0, GENESIS), list[Entry]()
    for one in notes(data.draw(st.integers(2, 12))):
        entries.append(chained(one, link, NOON))
        link = entries[-1].link
    other = list(entries)
    place = data.draw(st.integers(0, len(entries) - 1))
    match data.draw(st.sampled_from(["change", "remove", "swap", "insert", "cut"])):
        case "change":
            other[place] = msgspec.structs.replace(other[place], actor="user:usr_eve")
        case "remove":
            del other[place]
        case "swap":
            second = data.draw(st.integers(0, len(entries) - 1).filter(lambda n: n != place))
            other[place], other[second] = other[second], other[place]
        case "insert":
            other.insert(place, msgspec.structs.replace(other[place], object="key:new"))
        case _:
            del other[place:]
    if data.draw(st.booleans()):
        other = rechained(other)
    chain = Chain(Link(0, GENESIS), {link.number: link.hash})
    assert (chain.follow(other) or chain.end()) is not None


def test_a_hash_depends_on_nothing_else() -> None:
    """The form of the hash is a promise: whoever verifies an old export counts on it."""
    entry = chained(
        Note(
            actor=Actor("user:usr_çelik", "cli"),
            action="limits.set",
            object="tenant:acme",
            tenant_id="acme",
            before=None,
            after={"b": 1, "a": [True, None, 0.1]},
            occurred_at=NOON + timedelta(microseconds=7),
        ),
        Link(0, GENESIS),
        NOON,
    )
    assert (
        entry.hash == "fe7c9b043f908bc25549b36c4486316ee015c5e4ebc377b9624fa781103582fe"
    )  # by sha256sum

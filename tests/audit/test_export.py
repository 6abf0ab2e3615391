"""Exports: verified without the database, and useless to whoever touches them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.audit.test_verify import NOON, do, every_entry, fill, rechained, rewrite

from santral.audit.export import Format, export, manifest_path, read_manifest, verify_file
from santral.audit.note import Actor, Note, note_all
from santral.audit.retain import cut_before
from santral.audit.verify import verify
from santral.db.engine import Engine, writing
from santral.errors import BadRequest, StoreError

pytestmark = pytest.mark.anyio

ODD = 'a "quoted", line\r\nbreak; çelik \u2028 =1+1'


async def exported(engine: Engine, tmp_path: Path, format_: Format) -> Path:
    await fill(engine)
    async with writing(engine) as conn:
        actor = Actor(f"cli:{ODD}", ODD)
        odd = Note(actor=actor, action="a.b", object=ODD, tenant_id="*", after={ODD: [ODD, None]})
        await note_all(conn, [odd])
    file = tmp_path / f"log.{format_}"
    await export(engine, file, format_, now=lambda: NOON)
    return file


@pytest.fixture(params=["jsonl", "csv"])
def format_(request: pytest.FixtureRequest) -> Format:
    return request.param


async def test_an_export_verifies_offline(engine: Engine, tmp_path: Path, format_: Format) -> None:
    finding, has_manifest = verify_file(await exported(engine, tmp_path, format_))
    assert (finding.broken, finding.rows, finding.last.number) == (None, 31, 31)
    assert has_manifest
    manifest = read_manifest(manifest_path(tmp_path / f"log.{format_}"))
    assert manifest.last == (await every_entry(engine))[-1].link
    assert [path.name for path in tmp_path.glob(".*")] == []


def altered(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"key_11", b"key_99") for line in lines]


def removed(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b"key_11" not in line]


def swapped(lines: list[bytes]) -> list[bytes]:
    place = next(i for i, line in enumerate(lines) if b"key_11" in line)
    return [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]


def doubled(lines: list[bytes]) -> list[bytes]:
    return [copy for line in lines for copy in ((line, line) if b"key_11" in line else (line,))]


def cut(lines: list[bytes]) -> list[bytes]:
    place = next(i for i, line in enumerate(lines) if b"key_11" in line)
    return lines[:place]


@pytest.mark.parametrize(
    ("attack", "number"), [(altered, 12), (removed, 12), (swapped, 12), (doubled, 13), (cut, 12)]
)
async def test_a_touched_export_is_found(
    engine: Engine,
    tmp_path: Path,
    format_: Format,
    attack: Callable[[list[bytes]], list[bytes]],
    number: int,
) -> None:
    file = await exported(engine, tmp_path, format_)
    file.write_bytes(b"".join(attack(file.read_bytes().splitlines(keepends=True))))
    finding, _ = verify_file(file)
    assert finding.broken is not None
    assert finding.broken.number == number


async def test_a_line_cut_in_its_middle_is_named(engine: Engine, tmp_path: Path) -> None:
    jsonl = await exported(engine, tmp_path, "jsonl")
    jsonl.write_bytes(jsonl.read_bytes()[:-25])
    with pytest.raises(BadRequest, match="line 31 is cut"):
        verify_file(jsonl)


@pytest.mark.parametrize("size", [1, 25, 70, 200])
async def test_a_row_of_csv_cut_in_its_middle_is_found(
    engine: Engine, tmp_path: Path, size: int
) -> None:
    file = await exported(engine, tmp_path, "csv")
    file.write_bytes(file.read_bytes()[:-size])
    try:
        broken = verify_file(file)[0].broken is not None
    except BadRequest:
        broken = True
    assert broken


async def test_an_export_written_anew_is_found_by_its_manifest(
    engine: Engine, tmp_path: Path
) -> None:
    file = await exported(engine, tmp_path, "jsonl")
    entries = rechained([e for e in await every_entry(engine) if e.number != 12])
    lines = [json.dumps(msgspec.to_builtins(entry)) for entry in entries]
    file.write_text("\n".join(lines) + "\n")
    assert verify_file(file)[0].broken is not None
    manifest_path(file).unlink()
    finding, has_manifest = verify_file(file)
    assert (finding.broken, has_manifest) == (None, False)  # alone it holds together, and says so


async def test_bytes_that_change_no_row_are_found(engine: Engine, tmp_path: Path) -> None:
    file = await exported(engine, tmp_path, "jsonl")
    file.write_bytes(file.read_bytes().replace(b'{"number":1,', b'{ "number":1,', 1))
    finding, _ = verify_file(file)
    assert finding.broken is not None
    assert "not the one that was exported" in finding.broken.reason


async def test_a_part_of_the_log_verifies_too(engine: Engine, tmp_path: Path) -> None:
    await fill(engine)
    file = tmp_path / "part.csv"
    second = timedelta(seconds=1)
    made = await export(engine, file, "csv", since=NOON + 10 * second, until=NOON + 20 * second)
    assert (made.previous.number, made.last.number, made.rows) == (10, 20, 10)
    assert verify_file(file)[0].broken is None
    with pytest.raises(BadRequest, match="no row"):
        await export(engine, tmp_path / "none.csv", "csv", since=NOON + timedelta(days=1))


async def test_an_export_kept_elsewhere_shows_what_happened_to_the_log(
    engine: Engine, tmp_path: Path
) -> None:
    file = await exported(engine, tmp_path, "jsonl")
    sightings = read_manifest(manifest_path(file)).sightings()
    assert (await verify(engine, sightings)).broken is None
    entries = await every_entry(engine)
    await rewrite(engine, rechained([e for e in entries if e.number != 12]))
    assert (await verify(engine, [])).broken is None
    found = (await verify(engine, sightings)).broken
    assert found is not None


async def test_after_retention_an_export_begins_where_the_log_does(
    engine: Engine, tmp_path: Path
) -> None:
    await fill(engine)
    await cut_before(engine, NOON + timedelta(seconds=10), lambda: NOON)
    made = await export(engine, tmp_path / "log.jsonl", "jsonl")
    assert made.previous.number == 10
    assert verify_file(tmp_path / "log.jsonl")[0].broken is None


async def test_an_export_replaces_nothing_and_leaves_nothing_half_done(
    engine: Engine, tmp_path: Path
) -> None:
    await fill(engine)
    file = tmp_path / "log.jsonl"
    file.write_text("mine")
    with pytest.raises(BadRequest, match="exists already"):
        await export(engine, file, "jsonl")
    file.unlink()
    await do(engine, "DELETE FROM audit_log WHERE number = 12")
    with pytest.raises(StoreError, match="santral audit verify"):
        await export(engine, file, "jsonl")
    assert list(tmp_path.glob("*log.jsonl*")) == []


def test_what_is_no_export_is_said_to_be_none(tmp_path: Path) -> None:
    for name, body in (("a.jsonl", b"hello\n"), ("a.csv", b"a,b\r\n"), ("b.jsonl", b"[1]\n")):
        (tmp_path / name).write_bytes(body)
        with pytest.raises(BadRequest, match="line 1"):
            verify_file(tmp_path / name)
    (tmp_path / "c.txt").write_bytes(b"")
    with pytest.raises(BadRequest, match="neither"):
        verify_file(tmp_path / "c.txt")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe,\r\n")
    with pytest.raises(BadRequest, match="no export"):
        verify_file(tmp_path / "d.csv")

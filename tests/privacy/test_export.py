"""Exporting a person: all that is theirs, and nothing of anybody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.privacy.conftest import (
    ACME,
    AYSE,
    GLOBEX,
    MAIL,
    MEHMET,
    OTHER,
    SAID,
    SUBJECT,
    Installation,
)

from santral.privacy.places.exports import exports_folder
from santral.privacy.subject import Subject

pytestmark = pytest.mark.anyio


def lines(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


async def test_an_export_holds_what_is_the_persons_and_no_others_words(
    installation: Installation,
) -> None:
    await installation.fill()
    job = await installation.export()
    assert (job.state, job.arguments) == ("done", {})
    folder = exports_folder(installation.folder) / job.id
    index = json.loads((folder / "index.json").read_text())
    assert index["files"] == {
        "files.jsonl": 6, "ledger.jsonl": 13, "responses.jsonl": 2, "traces.jsonl": 15
    }  # fmt: skip
    assert index["mentions"] == {"files": 3, "responses": 1, "traces": 1}
    everything = "".join(path.read_text() for path in folder.iterdir())
    assert OTHER not in everything
    assert MEHMET not in everything
    assert GLOBEX not in everything
    traces = lines(folder, "traces.jsonl")
    assert {trace.get("user", "") for trace in traces} == {AYSE, ""}
    assert all(SAID in json.dumps(trace["payload"]) for trace in traces)
    assert {row["user_id"] for row in lines(folder, "ledger.jsonl")} == {AYSE}
    assert AYSE not in (folder / "index.json").read_text()
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


async def test_an_export_that_waits_is_erased_with_its_person(installation: Installation) -> None:
    await installation.fill()
    mine = await installation.export(Subject(user=AYSE))
    other = await installation.export(Subject(user=MEHMET))
    await installation.erase(SUBJECT)
    left = [path.name for path in exports_folder(installation.folder).iterdir()]
    assert mine.id not in left
    assert left == [other.id]
    assert installation.where(SAID) == []
    assert MAIL  # the mention in another's export is that person's copy of their own words


async def test_nobody_is_found_where_nobody_is(installation: Installation) -> None:
    await installation.fill()
    job = await installation.export(Subject(user="nobody"))
    assert job.result is not None
    assert job.result["files"] == {}
    assert job.tenant_id == ACME

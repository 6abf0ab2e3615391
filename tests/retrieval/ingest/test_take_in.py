"""What changed is read, what is gone is removed, what moved keeps its id; on both databases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.retrieval.ingest.place import Place, place_on

from santral.db.engine import Engine
from santral.errors import BadRequest, NotFound
from santral.retrieval.ingest.ingest import ingest

pytestmark = pytest.mark.anyio

LEAVE = "# Handbook\n\n## Leave\n\nAnnual leave is fourteen days.\n"
TRAVEL = "# Handbook\n\n## Travel\n\nMeals are paid up to thirty euros a day.\n"


async def test_files_are_read_once_and_changes_are_taken_over(place: Place) -> None:
    place.write("leave.md", LEAVE)
    place.write("travel.txt", TRAVEL)
    first = await place.ingest()
    assert (first.read, first.unchanged, first.chunks, first.is_published) == (2, 0, 2, True)
    again = await place.ingest()
    assert (again.read, again.unchanged, again.is_published) == (0, 2, False)
    assert (again.generation, again.chunks) == (first.generation, 2)
    place.write("leave.md", LEAVE.replace("fourteen", "twenty"))
    (place.root / "travel.txt").unlink()
    changed = await place.ingest()
    assert (changed.read, changed.removed, changed.chunks, changed.documents) == (1, 1, 1, 1)
    assert await place.search("annual leave") == ["Annual leave is twenty days."]


async def test_only_what_was_looked_for_is_removed(place: Place) -> None:
    place.write("a/leave.md", LEAVE)
    place.write("b/travel.md", TRAVEL)
    await place.ingest()
    shutil.rmtree(place.root / "a")
    shutil.rmtree(place.root / "b")
    report = await place.ingest(place.root / "a")
    assert (report.removed, report.documents) == (1, 1)


async def test_a_moved_file_keeps_its_id(place: Place) -> None:
    here = place.write("one/leave.md", LEAVE)
    place.write("one/travel.md", TRAVEL)
    await place.ingest()
    before = await place.document("files/one/leave.md")
    there = place.root / "two"
    there.mkdir()
    here.rename(there / "holidays.md")
    report = await place.ingest()
    after = await place.document("files/two/holidays.md")
    assert (after.id, report.moved, report.removed) == (before.id, 1, 0)
    assert after.location == str(there / "holidays.md")
    assert report.split_chunks == 0
    place.write("one/leave.md", TRAVEL.replace("thirty", "forty"))
    await place.ingest()
    assert (await place.document("files/one/leave.md")).id != before.id


async def test_a_folder_that_moved_as_a_whole_keeps_its_ids(place: Place) -> None:
    here = place.write("one/docs/leave.md", LEAVE)
    await place.ingest(here.parent)
    before = await place.document("docs/leave.md")
    (place.root / "two").mkdir()
    here.parent.rename(place.root / "two" / "docs")
    report = await place.ingest(place.root / "two" / "docs")
    assert (report.moved, report.documents) == (1, 1)
    assert (await place.document("docs/leave.md")).id == before.id


async def test_a_copy_is_a_document_of_its_own(place: Place) -> None:
    place.write("leave.md", LEAVE)
    await place.ingest()
    place.write("copy.md", LEAVE)
    report = await place.ingest()
    assert (report.moved, report.documents) == (0, 2)
    assert len({one.id for one in await place.documents()}) == 2


async def test_a_bad_file_is_quarantined_and_the_others_go_on(
    engine: Engine, tmp_path: Path
) -> None:
    async with place_on(engine, tmp_path, {"max_file_bytes": 4000}) as place:
        place.write("bad.pdf", b"%PDF-1.4 nothing")
        place.write("good.md", LEAVE)
        place.write("picture.bin", bytes(range(256)))
        place.write("large.md", b"word " * 1000)
        report = await place.ingest()
        assert [trouble.source for trouble in report.troubles] == [
            "files/bad.pdf",
            "files/large.md",
        ]
        assert (report.read, report.ignored, report.quarantined_documents) == (1, 1, 2)
        assert [(one.source, one.status) for one in await place.documents()] == [
            ("files/bad.pdf", "quarantined"),
            ("files/good.md", "indexed"),
            ("files/large.md", "quarantined"),
        ]
        repeated = await place.ingest()
        assert (repeated.troubles, repeated.is_published) == (report.troubles, False)
        place.write("bad.pdf", LEAVE)
        place.write("good.md", b"")
        turned = await place.ingest()
        assert {one.source for one in turned.troubles} >= {"files/bad.pdf", "files/good.md"}
        assert await place.search("annual leave") == []


async def test_a_file_named_by_hand_is_quarantined_where_a_found_one_is_ignored(
    place: Place,
) -> None:
    path = place.write("picture.bin", bytes(range(256)))
    report = await place.ingest(path)
    assert report.quarantined == {"it is of no format that is read": 1}


async def test_a_path_that_never_was_is_refused_and_one_that_was_is_removed(place: Place) -> None:
    path = place.write("leave.md", LEAVE)
    await place.ingest(path)
    path.unlink()
    with pytest.raises(BadRequest, match="no file or folder"):
        await place.ingest(place.root / "typo.md")
    assert (await place.ingest(path)).removed == 1
    assert await place.search("annual leave") == []


async def test_an_unknown_tenant_is_refused(place: Place) -> None:
    with pytest.raises(NotFound, match="no tenant 'acmee'"):
        await ingest(place.work, "acmee", "docs")


async def test_sidecars_and_folders_say_who_may_see_a_document(place: Place) -> None:
    place.write(
        "hr/_metadata.yaml", "allowed_groups: [hr]\nowner: Ayşe\nattributes: {team: people}\n"
    )
    place.write("hr/pay.md", "# Pay\n\nSalaries are paid on the first.\n")
    place.write("hr/open.md", "# Open\n\nThe canteen opens at noon.\n")
    place.write("hr/open.md.meta.json", json.dumps({"allowed_groups": [], "title": "Canteen"}))
    place.write(
        "all.md", "---\ndate: 2026-01-05\nlifecycle: draft\nteam: x\n---\n# All\n\nHello there.\n"
    )
    report = await place.ingest()
    assert (report.read, report.problems) == (3, 0)
    pay = await place.document("files/hr/pay.md")
    assert pay.metadata.allowed_groups == ("hr",)
    assert (pay.metadata.owner, pay.metadata.attributes) == ("Ayşe", {"team": "people"})
    assert (await place.document("files/hr/open.md")).title == "Canteen"
    every = (await place.document("files/all.md")).metadata
    assert (every.lifecycle, every.attributes["team"]) == ("draft", "x")
    assert every.created_at is not None
    assert every.created_at.date().isoformat() == "2026-01-05"
    assert await place.search("salaries", groups=["sales"]) == []
    assert await place.search("salaries", groups=["hr"]) == ["Salaries are paid on the first."]
    assert await place.search("canteen", groups=[]) == ["The canteen opens at noon."]


async def test_a_document_may_narrow_its_groups_and_not_widen_them(place: Place) -> None:
    place.write("_metadata.yaml", "allowed_groups: [hr, board]\n")
    place.write("narrow.md", "---\nallowed_groups: [board]\n---\n# A\n\nSecret one.\n")
    place.write("wide.md", "---\nallowed_groups: [everyone]\n---\n# B\n\nSecret two.\n")
    await place.ingest()
    assert (await place.document("files/narrow.md")).metadata.allowed_groups == ("board",)
    assert (await place.document("files/wide.md")).metadata.allowed_groups == ("board", "hr")


async def test_groups_that_become_fewer_are_in_force_when_the_ingest_ends(place: Place) -> None:
    place.write("pay.md", "# Pay\n\nSalaries are paid on the first.\n")
    place.write("other.md", TRAVEL)
    await place.ingest()
    assert await place.search("salaries", groups=[]) != []
    place.write("_metadata.yaml", "allowed_groups: hr\n")
    report = await place.ingest()
    assert (report.read, report.retold, report.split_chunks) == (0, 2, 0)
    assert await place.search("salaries", groups=[]) == []
    assert await place.search("salaries", groups=["hr"]) != []


async def test_a_sidecar_that_cannot_be_read_holds_back_what_it_is_about(place: Place) -> None:
    place.write("pay.md", LEAVE)
    place.write("pay.md.meta.json", '{"alowed_groups": ["hr"]}')
    report = await place.ingest()
    assert report.problems == 1
    assert "Did you mean 'allowed_groups'" in report.troubles[0].reason
    assert (await place.document("files/pay.md")).status == "quarantined"
    place.write("pay.md.meta.json", '{"allowed_groups": ["hr"]}')
    assert (await place.ingest()).read == 1


async def test_a_source_that_fails_half_way_removes_nothing(place: Place) -> None:
    place.write("leave.md", LEAVE)
    await place.ingest()
    with pytest.raises(BadRequest):
        await place.ingest(place.root / "typo")
    assert len(await place.documents()) == 1

"""A folder as a source: today's rules of links and hidden files, and nothing that has no end."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.retrieval.sources.conftest import Around, listing

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.folder import FolderSource, fetch_file, glance
from santral.retrieval.sources.push import LeavingSource, PushSource
from santral.retrieval.sources.settings import FolderSettings, PushSettings
from santral.retrieval.sources.source import Covered

pytestmark = pytest.mark.anyio


def told(folder: Path, **more: object) -> FolderSettings:
    return FolderSettings.model_validate({"path": str(folder), **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "handbook"
    (made / "hr").mkdir(parents=True)
    (made / "a.md").write_text("# A")
    (made / "hr" / "pay.md").write_text("# Pay")
    (made / ".hidden").write_text("x")
    (made / "out.md").symlink_to("/etc/passwd")
    return made


async def test_files_are_listed_with_their_stamps_links_and_groups(
    folder: Path, around: Around
) -> None:
    os.utime(folder / "a.md", (1_795_000_000, 1_795_000_000))
    settings = told(folder, groups={"hr/": ["hr"]}, url_template="https://wiki.example/{path}")
    seen = await listing(FolderSource(settings, around()))
    assert [item.source for item in seen.items.values()] == ["handbook/a.md", "handbook/hr/pay.md"]
    first, second = seen.items.values()
    assert (first.metadata.allowed_groups, second.metadata.allowed_groups) == ((), ("hr",))
    assert second.metadata.url == "https://wiki.example/hr/pay.md"
    assert first.metadata.modified_at == datetime.fromtimestamp(1_795_000_000, UTC)
    assert list(seen.contents.values()) == [b"# A", b"# Pay"]
    assert [p.reason for p in seen.problems] == ["it is a link that leads out of the folder"]
    assert seen.covered == [Covered("source:src_1")]


async def test_a_stamp_changes_with_content_time_and_file(folder: Path, around: Around) -> None:
    path = folder / "a.md"
    stamps = {(await listing(FolderSource(told(folder), around()))).stamps[str(path)]}
    path.write_text("# AB")
    stamps.add((await listing(FolderSource(told(folder), around()))).stamps[str(path)])
    os.utime(path, (1, 1))
    stamps.add((await listing(FolderSource(told(folder), around()))).stamps[str(path)])
    other = folder / "b"
    other.write_text("# AC")
    os.utime(other, (1, 1))
    other.rename(path)
    stamps.add((await listing(FolderSource(told(folder), around()))).stamps[str(path)])
    assert len(stamps) == 4


async def test_patterns_say_which_files_are_taken(folder: Path, around: Around) -> None:
    only = await listing(FolderSource(told(folder, include=["hr/*"]), around()))
    assert [item.name for item in only.items.values()] == ["pay.md"]
    others = await listing(FolderSource(told(folder, exclude=["*pay*"]), around()))
    assert [item.name for item in others.items.values()] == ["a.md"]
    cut = await listing(FolderSource(told(folder, max_items=1), around()))
    assert (len(cut.items), cut.covered) == (1, [])


async def test_a_folder_that_is_away_takes_nothing_with_it(folder: Path, around: Around) -> None:
    with pytest.raises(SourceUnreachable, match="nothing of it is removed"):
        await listing(FolderSource(told(folder / "gone"), around()))


async def test_pipes_devices_and_long_files_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for place, reason in (
        (str(folder / "pipe"), "no file"),
        ("/dev/zero", "no file"),
        (str(folder / "gone"), "cannot be opened"),
    ):
        with pytest.raises(UnreadableError, match=reason):
            await fetch_file(place, 10)
    with (folder / "sparse").open("wb") as file:
        file.truncate(500_000_000)
    with pytest.raises(UnreadableError, match="larger than 1000"):
        await fetch_file(str(folder / "sparse"), 1000)


def test_a_glance_sees_every_change(folder: Path) -> None:
    seen = {glance(str(folder))}
    assert {glance(str(folder))} == seen
    (folder / "a.md").write_text("# Changed")
    seen.add(glance(str(folder)))
    (folder / "hr" / "new.md").write_text("new")
    seen.add(glance(str(folder)))
    (folder / "hr" / "pay.md").unlink()
    seen.add(glance(str(folder)))
    assert len(seen) == 4


async def test_pushed_documents_stay_and_a_leaving_source_takes_all_it_brought(
    around: Around,
) -> None:
    assert (await listing(PushSource(PushSettings(), around()))).covered == []
    assert (await listing(LeavingSource(around()))).covered == [Covered("source:src_1")]

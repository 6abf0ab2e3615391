"""Ingest on both databases: what changed is read, what is gone is removed, the rest stays."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.retrieval.conftest import NOW, Library, settings

from santral.db.engine import connect, reading, sqlite_url
from santral.errors import BadRequest, NotFound, StoreError
from santral.retrieval.index.embedded import generation
from santral.retrieval.ingest.before import store
from santral.retrieval.ingest.before.ingest import ingest
from santral.retrieval.ingest.before.report import IngestReport, Quarantined

pytestmark = pytest.mark.anyio

LEAVE = "# Handbook\n\n## Leave\n\nAnnual leave is fourteen days.\n"
TRAVEL = "# Handbook\n\n## Travel\n\nMeals are paid up to thirty euros a day.\n"


async def test_files_are_read_once_and_changes_are_taken_over(library: Library) -> None:
    library.write("leave.md", LEAVE)
    library.write("travel.txt", TRAVEL)
    first = await library.ingest()
    assert (first.read, first.unchanged, first.chunks, first.is_published) == (2, 0, 2, True)
    again = await library.ingest()
    assert (again.read, again.unchanged, again.is_published) == (0, 2, False)
    assert (again.generation, again.chunks) == (first.generation, 2)
    library.write("leave.md", LEAVE.replace("fourteen", "twenty"))
    (library.root / "travel.txt").unlink()
    changed = await library.ingest()
    assert (changed.read, changed.removed, changed.chunks, changed.documents) == (1, 1, 1, 1)
    assert [source.text for source in library.search("annual leave")] == [
        "Annual leave is twenty days."
    ]


async def test_only_files_below_the_ingested_folder_are_removed(library: Library) -> None:
    library.write("a/leave.md", LEAVE)
    library.write("b/travel.md", TRAVEL)
    await library.ingest()
    shutil.rmtree(library.root / "a")
    shutil.rmtree(library.root / "b")
    report = await library.ingest(library.root / "a")
    assert (report.removed, report.documents) == (1, 1)


async def test_a_moved_file_replaces_itself(library: Library) -> None:
    here = library.write("one/docs/leave.md", LEAVE)
    await library.ingest(here.parent)
    there = library.root / "two" / "docs"
    there.mkdir(parents=True)
    here.rename(there / "leave.md")
    report = await library.ingest(there)
    assert (report.read, report.removed, report.documents) == (1, 1, 1)


async def test_a_bad_file_is_quarantined_and_the_others_go_on(library: Library) -> None:
    library.write("bad.pdf", b"%PDF-1.4 nothing")
    library.write("good.md", LEAVE)
    library.write("picture.bin", bytes(range(256)))
    library.write("large.md", b"word " * 1000)
    report = await library.ingest(max_file_bytes=4000)
    assert [item.source for item in report.quarantined] == ["files/bad.pdf", "files/large.md"]
    assert report.quarantined[0] == Quarantined(
        "files/bad.pdf", "it is damaged and cannot be opened"
    )
    assert (report.read, report.ignored) == (1, 1)
    async with reading(library.engine) as conn:
        documents = await store.list_documents(conn, "acme", "docs")
    assert [(item.source, item.status) for item in documents] == [
        ("files/bad.pdf", "quarantined"),
        ("files/good.md", "indexed"),
        ("files/large.md", "quarantined"),
    ]
    repeated = await library.ingest(max_file_bytes=4000)
    assert (repeated.quarantined, repeated.is_published) == (report.quarantined, False)
    library.write("bad.pdf", LEAVE)
    library.write("good.md", b"")
    turned = await library.ingest(max_file_bytes=4000)
    assert [item.source for item in turned.quarantined][:2] == ["files/bad.pdf", "files/good.md"]
    assert library.search("annual leave") == []


async def test_a_file_named_by_hand_is_quarantined_where_a_found_one_is_ignored(
    library: Library,
) -> None:
    path = library.write("picture.bin", bytes(range(256)))
    report = await library.ingest(path)
    assert report.quarantined == [Quarantined("picture.bin", "it is of no format that is read")]


async def test_a_path_that_never_was_is_refused_and_one_that_was_is_removed(
    library: Library,
) -> None:
    path = library.write("leave.md", LEAVE)
    await library.ingest(path)
    path.unlink()
    with pytest.raises(BadRequest, match="no file or folder"):
        await library.ingest(library.root / "typo.md")
    assert (await library.ingest(path)).removed == 1
    assert library.search("annual leave") == []


async def test_other_lengths_split_anew_and_other_dimensions_fit_anew(library: Library) -> None:
    library.write(
        "long.md", "# T\n\n" + "\n\n".join(f"Sentence number {n} is here." * 3 for n in range(20))
    )
    first = await library.ingest(config=settings(child_tokens=200))
    shorter = await library.ingest(config=settings(child_tokens=60))
    assert shorter.chunks > first.chunks
    fitted = await library.ingest(config=settings(child_tokens=60, dimensions=32))
    assert (fitted.read, fitted.is_published) == (0, True)


async def test_an_unknown_tenant_is_refused(library: Library) -> None:
    with pytest.raises(NotFound, match="no tenant 'acmee'"):
        await library.ingest(tenant="acmee")


async def test_a_lost_or_damaged_index_is_rebuilt_from_the_database(library: Library) -> None:
    path = library.write("leave.md", LEAVE)
    first = await library.ingest()
    folder = generation.partition(library.data, "acme", "docs")
    (folder / first.generation / "vectors.npy").write_bytes(b"garbage")
    path.touch()
    assert (await library.ingest()).is_published
    shutil.rmtree(folder)
    rebuilt = await library.ingest()
    assert (rebuilt.read, rebuilt.is_published) == (0, True)
    assert library.search("annual leave")[0].text == "Annual leave is fourteen days."


async def test_the_second_ingest_of_a_collection_is_told_who_is_first(library: Library) -> None:
    library.write("leave.md", LEAVE)
    with generation.writing(generation.partition(library.data, "acme", "docs")):
        with pytest.raises(StoreError, match=r"Another ingest .* is running \(process \d+\)"):
            await library.ingest()
        assert (await library.ingest(collection="other")).is_published
    assert (await library.ingest()).is_published


async def test_a_cancelled_ingest_leaves_the_last_good_index_and_can_be_repeated(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    library.write("leave.md", LEAVE)
    first = await library.ingest()
    library.write("travel.md", TRAVEL)
    loop = asyncio.get_running_loop()
    task: asyncio.Task[IngestReport] | None = None

    is_cancelled = threading.Event()

    def cancel() -> None:
        assert task is not None
        task.cancel()
        loop.call_later(0.05, is_cancelled.set)  # when the ingest has heard of it

    def stop(progress: object) -> None:
        if getattr(progress, "stage", "") == "index" and not is_cancelled.is_set():
            loop.call_soon_threadsafe(cancel)
            assert is_cancelled.wait(10), "the index is built in a thread, beside the loop"

    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            ingest(
                library.engine, library.data, "acme", "docs", [library.root],
                config=settings(), progress=stop, now=lambda: NOW,
            )
        )  # fmt: skip
    assert task.cancelled()
    gc.collect()  # a future whose error nobody took complains when it goes
    assert caplog.messages == []
    folder = generation.partition(library.data, "acme", "docs")
    assert generation.current(folder) == first.generation
    again = await library.ingest()
    assert (again.read, again.chunks, again.is_published) == (0, 2, True)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["", LEAVE, TRAVEL, "%PDF bad"])),
    min_size=1,
    max_size=4,
)


@hypothesis_settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(OPERATIONS, min_size=1, max_size=3))
def test_any_order_of_changes_ends_in_the_index_of_a_rebuild(
    sqlite_template: Path, rounds: list[list[tuple[str, str]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_equals_a_rebuild(Path(folder), sqlite_template, rounds))


async def _equals_a_rebuild(
    folder: Path, template: Path, rounds: list[list[tuple[str, str]]]
) -> None:
    stepwise, rebuilt = folder / "stepwise", folder / "rebuilt"
    libraries = [await _library(place, template) for place in (stepwise, rebuilt)]
    root = libraries[0].root
    for changes in rounds:
        for name, content in changes:
            if content:
                libraries[0].write(f"{name}.md", content)
            else:
                (root / f"{name}.md").unlink(missing_ok=True)
        await libraries[0].ingest()
    await libraries[1].ingest(root)
    ours, theirs = (
        generation.load(generation.partition(library.data, "acme", "docs")) for library in libraries
    )
    assert ours is not None
    assert theirs is not None
    for part in ("stems", "grams", "embedding", "passages"):
        left, right = getattr(ours[1], part), getattr(theirs[1], part)
        for field in left.__struct_fields__:
            np.testing.assert_array_equal(getattr(left, field), getattr(right, field), field)
    np.testing.assert_array_equal(ours[1].vectors, theirs[1].vectors)
    for library in libraries:
        await library.engine.dispose()


async def _library(folder: Path, template: Path) -> Library:
    folder.mkdir()
    shutil.copy(template, folder / "santral.db")
    library = Library(connect(sqlite_url(folder)), folder)
    await library.tenant("acme")
    return library

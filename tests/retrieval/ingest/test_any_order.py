"""Any sequence of changes, moves, deletions and kills ends in what a rebuild gives."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.retrieval.ingest.place import Place, config_of, place_on

from santral.db.engine import connect, sqlite_url

LEAVE = "# Handbook\n\n## Leave\n\nAnnual leave is fourteen days.\n"
TRAVEL = "# Handbook\n\n## Travel\n\nMeals are paid up to thirty euros a day.\n"
SICK = "# Handbook\n\n## Sick leave\n\nCall before nine o'clock.\n"

NAMES = ("a.md", "b.md", "sub/a.md", "sub/c.md")
#: What somebody does to the folder, or to an ingest of it.
ACTS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from([LEAVE, TRAVEL, SICK, ""])),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("move"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("groups"), st.sampled_from(("", "sub/")), st.sampled_from(["hr", "it", ""])),
    st.tuples(st.just("ingest"), st.just(""), st.just("")),
    st.tuples(st.just("broken ingest"), st.sampled_from(["put", "publish", "split"]), st.just("")),
)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(acts=st.lists(ACTS, min_size=2, max_size=12))
def test_any_order_of_changes_equals_a_rebuild(
    sqlite_template: Path, acts: list[tuple[str, str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_equals_a_rebuild(Path(folder), sqlite_template, acts))


async def _equals_a_rebuild(folder: Path, template: Path, acts: list[tuple[str, str, str]]) -> None:
    root = folder / "files"
    async with _place(folder / "stepwise", template, root) as place:
        for act in acts:
            await _do(place, root, *act)
        await place.ingest()
        stepwise = await _seen(place)
    async with _place(folder / "rebuilt", template, root) as place:
        await place.ingest()
        assert stepwise == await _seen(place)


def _place(folder: Path, template: Path, root: Path) -> Any:
    return _Opened(folder, template, root)


class _Opened:
    """A place of its own over files that others look at, too."""

    def __init__(self, folder: Path, template: Path, root: Path) -> None:
        folder.mkdir()
        shutil.copy(template, folder / "santral.db")
        self._engine = connect(sqlite_url(folder))
        self._held = place_on(self._engine, folder, {"embedding": "off", "dimensions": None})
        self._root = root

    async def __aenter__(self) -> Place:
        place = await self._held.__aenter__()
        place.root = self._root
        place.root.mkdir(exist_ok=True)
        return place

    async def __aexit__(self, *error: Any) -> None:
        await self._held.__aexit__(*error)
        await self._engine.dispose()


async def _do(place: Place, root: Path, act: str, name: str, what: str) -> None:
    if act == "write":
        place.write(name, what)
    elif act == "delete":
        (root / name).unlink(missing_ok=True)
    elif act == "move" and (root / name).exists():
        (root / what).parent.mkdir(exist_ok=True)
        (root / name).replace(root / what)
    elif act == "groups":
        place.write(f"{name}_metadata.yaml", f"allowed_groups: [{what}]\n")
    elif act == "ingest":
        await place.ingest()
    elif act == "broken ingest":
        await _break(place, name)


async def _break(place: Place, at: str) -> None:
    """Ingest until the first call of one kind, and no further."""

    class Killed(Exception):
        pass

    async def die(*args: object) -> None:
        raise Killed

    before = place.work
    if at == "split":
        patched = before.workshop
        kept = patched.split
        patched.split = die  # type: ignore[method-assign,assignment]
        try:
            await place.ingest()
        except* Killed:
            pass
        finally:
            patched.split = kept  # type: ignore[method-assign]
        return

    async def open_writer(*args: Any) -> Any:
        writer = await before.open_writer(*args)
        setattr(writer, at, die)
        return writer

    place.work = replace(before, open_writer=open_writer)
    try:
        await place.ingest()
    except* Killed:
        pass
    finally:
        place.work = before


async def _seen(place: Place) -> Mapping[str, Any]:
    """What a reader could tell apart: documents, chunks, and what searches find."""
    documents = {
        one.source: (one.title, one.kind, one.status, one.reason, one.metadata.allowed_groups,
                     one.content_hash, one.text_hash, one.fingerprint)
        for one in await place.documents()
    }  # fmt: skip
    chunks = {
        source: [
            (one.position, one.text, one.section, one.start, one.content_hash) for one in found
        ]
        for source, found in (await place.chunks()).items()
    }
    state = await place.indexed()
    searches = {
        (question, groups): sorted(await place.search(question, groups))
        for question in ("annual leave", "meals", "sick leave call")
        for groups in ((), ("hr",), ("it",))
    }
    return {
        "documents": documents,
        "chunks": chunks,
        "counts": (state.documents, state.chunks),
        "searches": searches,
    }


RUN = """
import asyncio, sys
from pathlib import Path
from tests.retrieval.ingest.place import place_on
from santral.db.engine import connect, sqlite_url

async def main(folder):
    engine = connect(sqlite_url(folder))
    async with place_on(engine, folder, is_new=False) as place:
        print("begun", flush=True)
        await place.ingest()
        print("done", flush=True)
    await engine.dispose()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.journey
@pytest.mark.timeout(300)
def test_kills_at_any_moment_lose_no_finished_document(
    sqlite_template: Path, tmp_path: Path
) -> None:
    """kill -9, again and again, of whole processes; the last one ends what is left."""
    rng = random.Random(7)
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    asyncio.run(_make_tenant(tmp_path))
    for n in range(120):
        path = tmp_path / "files" / f"{n}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# Page {n}\n\n" + f"Sentence {n} of the page says something. " * 40)
    stored = 0
    for _ in range(6):
        process = _started(tmp_path)
        time.sleep(rng.uniform(0.05, 1.5))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        now = asyncio.run(_count(tmp_path))
        assert now >= stored
        stored = now
    process = _started(tmp_path)
    process.communicate()
    assert process.returncode == 0
    assert asyncio.run(_count(tmp_path)) == 120
    assert asyncio.run(_searched(tmp_path)) == 120


def _started(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


async def _make_tenant(folder: Path) -> None:
    engine = connect(sqlite_url(folder))
    async with place_on(engine, folder):
        pass
    await engine.dispose()


async def _count(folder: Path) -> int:
    engine = connect(sqlite_url(folder))
    async with place_on(engine, folder, is_new=False) as place:
        number = len(await place.documents())
    await engine.dispose()
    return number


async def _searched(folder: Path) -> int:
    engine = connect(sqlite_url(folder))
    async with place_on(engine, folder, is_new=False) as place:
        number = (await place.indexed()).documents
    await engine.dispose()
    assert config_of(folder)
    return number

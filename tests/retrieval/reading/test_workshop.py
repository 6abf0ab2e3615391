"""The workshop reads in children that may crash, hang or be killed; nobody else notices."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from santral.errors import BadRequest, StoreError
from santral.retrieval.collection import Recipe
from santral.retrieval.document import UnreadableError
from santral.retrieval.reading.read import read_document
from santral.retrieval.reading.task import Limits
from santral.retrieval.reading.workshop import Workshop
from santral.retrieval.splitting.registry import split

pytestmark = pytest.mark.anyio

PAGE = b"# Leave\n\nLeave is fourteen days.\n\n## Who\n\nEverybody. " + b"More text here. " * 50


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def children() -> set[int]:
    """Return the processes that this one has started and that are still there."""
    found: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:
            continue
        parent = next((line.split()[1] for line in lines if line.startswith("PPid:")), "")
        if parent == str(os.getpid()):
            found.add(int(status.parent.name))
    return found


async def test_what_a_child_reads_and_splits_is_what_is_read_here() -> None:
    recipe = Recipe(child_tokens=50)
    async with Workshop() as workshop:
        document = await workshop.read("leave.md", PAGE)
        assert document == read_document("leave.md", PAGE)
        assert await workshop.split(document, recipe) == split(document, recipe)


async def test_closing_leaves_no_process() -> None:
    before = children()
    async with Workshop(children=2) as workshop:
        await asyncio.gather(*(workshop.read("a.md", PAGE) for _ in range(4)))
        assert 1 <= len(children() - before) <= 2
    assert children() == before
    with pytest.raises(StoreError, match="closed"):
        await workshop.read("a.md", PAGE)


async def test_more_callers_than_children_wait_their_turn() -> None:
    before = children()
    async with Workshop(children=1) as workshop:
        found = await asyncio.gather(*(workshop.read(f"{n}.md", PAGE) for n in range(20)))
        assert len(found) == 20
        assert len(children() - before) == 1


async def test_a_child_that_is_killed_costs_one_document() -> None:
    before = children()
    async with Workshop() as workshop:
        await workshop.read("a.md", PAGE)
        (child,) = children() - before
        reading = asyncio.ensure_future(workshop.read("b.txt", b"word " * 3_000_000))
        await asyncio.sleep(0.05)
        os.kill(child, signal.SIGSEGV)
        with pytest.raises(UnreadableError, match="ended the reader"):
            await reading
        assert (await workshop.read("c.md", PAGE)).title == "Leave"


async def test_a_child_that_died_while_it_waited_is_replaced() -> None:
    before = children()
    async with Workshop() as workshop:
        await workshop.read("a.md", PAGE)
        (child,) = children() - before
        os.kill(child, signal.SIGKILL)
        await asyncio.sleep(0.2)
        assert (await workshop.read("b.md", PAGE)).title == "Leave"


async def test_a_caller_that_leaves_takes_the_child_with_it() -> None:
    before = children()
    async with Workshop() as workshop:
        await workshop.read("a.md", PAGE)
        reading = asyncio.ensure_future(workshop.read("b.txt", b"word " * 3_000_000))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert children() == before
        assert (await workshop.read("c.md", PAGE)).title == "Leave"


async def test_reading_that_takes_too_long_is_ended() -> None:
    async with Workshop(limits=Limits(read_s=0.1)) as workshop:
        with pytest.raises(UnreadableError, match="longer than"):
            await workshop.read("b.txt", b"word " * 3_900_000)


async def test_reading_that_takes_too_much_work_is_ended() -> None:
    """The kernel ends a child that takes more seconds than it has, also inside a library."""
    async with Workshop(limits=Limits(cpu_s=0)) as workshop:
        with pytest.raises(UnreadableError, match="s of work"):
            await workshop.read("b.html", b"<html>" + b"<div>" * 20_000 + b"<p>a" * 300_000)


async def test_reading_that_takes_too_much_memory_is_ended() -> None:
    async with Workshop(limits=Limits(memory_bytes=700 * 1024 * 1024)) as workshop:
        await workshop.read("a.md", PAGE)
        with pytest.raises(UnreadableError, match="too much memory"):
            await workshop.read("b.txt", b"ab\n\n" * 7_000_000)
        assert (await workshop.read("c.md", PAGE)).title == "Leave"


async def test_a_child_is_replaced_after_its_files() -> None:
    before = children()
    seen: set[int] = set()
    async with Workshop(limits=Limits(files=3)) as workshop:
        for _ in range(7):
            await workshop.read("a.md", PAGE)
            seen |= children() - before
    assert len(seen) == 3


async def test_errors_come_back_as_what_they_are() -> None:
    async with Workshop() as workshop:
        with pytest.raises(UnreadableError, match="its name says pdf, its content is text"):
            await workshop.read("a.pdf", b"text")
        document = await workshop.read("a.md", PAGE)
        with pytest.raises(BadRequest, match="no chunking 'windows'"):
            await workshop.split(document, Recipe(chunking="windows"))


async def test_a_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    before = children()
    async with Workshop() as workshop:
        await workshop.read("a.md", PAGE)
        (child,) = children() - before
        assert b"sk-secret" not in Path(f"/proc/{child}/environ").read_bytes()

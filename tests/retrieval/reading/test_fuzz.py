"""Whatever is done to a file, it becomes a document or a reason; never anything else."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.retrieval.reading.samples import samples

from santral.retrieval.collection import Recipe
from santral.retrieval.document import UnreadableError
from santral.retrieval.reading.read import read_document
from santral.retrieval.reading.registry import FORMATS
from santral.retrieval.splitting.registry import split
from santral.retrieval.splitting.text import rebuilt

#: Seconds of work that no small file may take.
MOST_S = 5.0
NAMES = sorted(samples())


def read(name: str, content: bytes) -> None:
    """Read and split a file as it is read in a child, and hold it to its time."""
    began = time.process_time()
    document = None
    with contextlib.suppress(UnreadableError):
        document = read_document(name, content)
    if document is not None:
        assert rebuilt(split(document, Recipe(child_tokens=50, parent_tokens=100)))
        assert "\0" not in document.title
        document.title.encode()
    assert time.process_time() - began < MOST_S


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good file with bytes changed, removed, repeated or cut off."""
    name = draw(st.sampled_from(NAMES))
    content = bytearray(samples()[name])
    for _ in range(draw(st.integers(1, 8))):
        if not content:
            break
        place = draw(st.integers(0, len(content) - 1))
        end = min(len(content), place + draw(st.integers(1, 60)))
        what = draw(st.sampled_from(["change", "remove", "repeat", "cut", "insert"]))
        if what == "change":
            content[place] = draw(st.integers(0, 255))
        elif what == "remove":
            del content[place:end]
        elif what == "repeat":
            content[place:place] = content[place:end] * draw(st.integers(1, 50))
        elif what == "cut":
            del content[place:]
        else:
            content[place:place] = draw(st.binary(max_size=40))
    return name, bytes(content)


def test_there_is_a_sample_of_every_format() -> None:
    assert {read_document(name, content).kind for name, content in samples().items()} == set(
        FORMATS
    )


@settings(max_examples=400, deadline=None)
@given(mutations())
def test_a_changed_file_is_read_or_refused(changed: tuple[str, bytes]) -> None:
    read(*changed)


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.binary(max_size=400))
def test_any_bytes_under_any_name_are_read_or_refused(name: str, content: bytes) -> None:
    read(name, content)


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_every_format_under_every_name_is_read_or_refused(name: str, other: str) -> None:
    read(name, samples()[other])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_anywhere_is_read_or_refused(name: str) -> None:
    content = samples()[name]
    for end in range(0, len(content), max(1, len(content) // 40)):
        read(name, content[:end])

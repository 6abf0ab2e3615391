"""Generations on disk: whole or not at all, whatever is killed and whenever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.retrieval.indexes import put_index
from tests.retrieval.search.test_search import searcher, texts_of

from santral.errors import StoreError
from santral.retrieval.analysis.counts import Floats, count_terms
from santral.retrieval.embedding.lsa import fit
from santral.retrieval.index.embedded import generation
from santral.retrieval.index.embedded.postings import build_postings
from santral.retrieval.index.signal import Signal
from santral.retrieval.search.fuse import best_rows, fuse, scaled

WRITER = """
import sys
from pathlib import Path
from tests.retrieval.indexes import put_index
for revision in range(1000):
    put_index(Path(sys.argv[1]), "acme", "docs", [f"leave {revision}"] * 5, revision)
    print(revision, flush=True)
"""


@pytest.mark.parametrize("wait_for", [1, 4])
def test_a_killed_writer_leaves_a_good_index_and_no_lock(wait_for: int, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        last = 0
        for _ in range(wait_for):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        last = max([last, *map(int, writer.stdout.read().split())])
    (text,) = texts_of(searcher(tmp_path), "acme", "leave")
    assert text in (f"leave {last}", f"leave {last + 1}")
    put_index(tmp_path, "acme", "docs", ["leave at last"], 2000)
    folder = generation.partition(tmp_path, "acme", "docs")
    assert [path.name for path in folder.glob(".draft-*")] == []
    assert texts_of(searcher(tmp_path), "acme", "leave") == ["leave at last"]


@pytest.mark.parametrize("step", ["_write", "_sync", "_write_synced"])
def test_a_full_disk_leaves_the_last_generation_in_force(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_index(tmp_path, "acme", "docs", ["leave one"])

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(generation, step, fail)
        with pytest.raises(StoreError, match="No space left on device"):
            put_index(tmp_path, "acme", "docs", ["leave two"], 2)
    assert texts_of(searcher(tmp_path), "acme", "leave") == ["leave one"]


def test_a_generation_is_not_removed_while_it_is_being_opened(tmp_path: Path) -> None:
    first = put_index(tmp_path, "acme", "docs", ["one"], 1)
    folder = generation.partition(tmp_path, "acme", "docs")
    with generation._shared(folder / first):  # a reader between the pointer and the files
        last = first
        for revision in range(2, 5):
            last = put_index(tmp_path, "acme", "docs", ["more"], revision)
        assert (folder / first / "meta.json").exists()
    put_index(tmp_path, "acme", "docs", ["more"], 5)
    assert not (folder / first).exists()
    assert (folder / last).exists()  # the one before is kept for readers that hold its name


@pytest.mark.parametrize(
    "name", ["../../etc", "..", ".", "a/b", "A:b@c", "ü", "x" * 128, "/" * 128]
)
def test_no_name_leads_out_of_its_folder(name: str, tmp_path: Path) -> None:
    folder = generation.partition(tmp_path, name, name)
    assert folder.parent.parent == tmp_path / "index"
    assert folder.resolve() == folder
    folder.mkdir(parents=True)


@given(st.text(min_size=1, max_size=128), st.text(min_size=1, max_size=128))
def test_two_names_never_share_a_folder(one: str, other: str) -> None:
    try:
        places = [generation.partition(Path("/data"), "t", name) for name in (one, other)]
    except UnicodeEncodeError:
        return
    assert (places[0] == places[1]) == (one == other)


@pytest.mark.parametrize("content", [b"", b"../other", b".draft", b"\xff", b"gone"])
def test_a_damaged_pointer_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["one"])
    (generation.partition(tmp_path, "acme", "docs") / "CURRENT").write_bytes(content)
    (problem,) = searcher(tmp_path).problems
    assert "ingest again" in problem or "cannot be read" in problem


TERMS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=12)


@given(TERMS, st.lists(st.sampled_from("abcdefghxyz"), max_size=6, unique=True))
def test_bm25_from_postings_is_the_formula(bags: list[list[str]], query: list[str]) -> None:
    size = len(bags)
    average = max(sum(map(len, bags)) / size, 1.0)

    def weight(term: str, bag: list[str]) -> float:
        frequency = sum(term in other for other in bags)
        idf = np.log1p((size - frequency + 0.5) / (frequency + 0.5))
        count = bag.count(term)
        return idf * count * 2.0 / (count + 1.0 * (0.5 + 0.5 * len(bag) / average))

    expected = [sum(weight(term, bag) for term in query if term in bag) for bag in bags]
    found = build_postings(count_terms(bags)).scores(query, size)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(TERMS, st.integers(1, 20))
def test_small_collections_have_unit_vectors_of_as_many_dimensions_as_fit(
    bags: list[list[str]], dimensions: int
) -> None:
    counted = count_terms(bags)
    embedding, vectors = fit(counted, counted, dimensions)
    again = fit(counted, counted, dimensions)[1]
    np.testing.assert_array_equal(vectors, again)
    assert vectors.shape[0] == len(bags)
    assert vectors.shape[1] == embedding.directions.shape[1] <= dimensions
    lengths = np.linalg.norm(vectors, axis=1) if vectors.size else np.zeros(len(bags))
    assert all(abs(length - 1) < 1e-3 or length < 1e-3 for length in lengths)


def test_a_text_is_nearest_to_itself() -> None:
    bags = [
        ["red", "apple"],
        ["green", "pear", "tree"],
        ["blue", "sea", "ship"],
        ["red", "sea"],
    ] * 2
    counted, none = count_terms(bags), count_terms([[] for _ in bags])
    embedding, vectors = fit(counted, none, 8)
    for number, bag in enumerate(bags):
        nearest = vectors @ embedding.embed(bag, [])
        assert nearest[number] == pytest.approx(nearest.max(), abs=1e-2)
    assert not embedding.embed(["unknown"], []).any()


def test_fusion_scales_each_signal_and_keeps_ties_in_order() -> None:
    signals: dict[Signal, Floats] = {
        "bm25": np.array([0, 10, 5], np.float32),
        "ngrams": np.array([2, 2, 2], np.float32),
        "dense": np.array([-1, 1, 0], np.float32),
    }
    weights: dict[Signal, float] = {"bm25": 2.0, "ngrams": 1.0, "dense": 1.0}
    np.testing.assert_allclose(fuse(signals, weights), [0.25, 1.0, 0.625])
    all_match = np.array([3, 4, 2], np.float32)
    np.testing.assert_allclose(scaled(all_match), [0.75, 1.0, 0.5])
    assert best_rows(np.array([0.5, 0, 0.7, 0.5, 0.5], np.float32), 3).tolist() == [2, 0, 3]
    assert best_rows(np.zeros(4, np.float32), 3).tolist() == []
    assert scaled(np.zeros(0, np.float32)).tolist() == []

"""The semantic cache: partitions are apart, memory is bounded, what is stale or killed is not found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.answers import Clock, answer

from santral.cache.key import Scope, partition_key
from santral.cache.meaning.embed import embed
from santral.cache.meaning.signature import read
from santral.cache.semantic import Question, SemanticCache


def alive(key: bytes) -> bool:
    return True


def question(text: str, partition: bytes = b"p") -> Question:
    vector = embed(text)
    assert vector is not None
    return Question(partition, vector, read(text))


def cache(entries: int = 100, size: int = 10**7, clock: Clock | None = None) -> SemanticCache:
    return SemanticCache(entries, size, clock or Clock())


PIN = "How do I reset my PIN?"
ALIKE = "How can I reset my PIN?"


def test_a_question_is_found_in_its_own_partition_only() -> None:
    kept = cache()
    assert kept.put(question(PIN), b"k", answer("In the app."), 60, 100)
    found = kept.find(question(ALIKE), 0.6, alive)
    assert found is not None
    assert (found.key, found.answer.text) == (b"k", "In the app.")
    assert 0.6 < found.similarity < 1
    assert kept.find(question(ALIKE, b"q"), 0.6, alive) is None
    assert kept.find(question(ALIKE), 0.999, alive) is None
    assert kept.find(question("How do I not reset my PIN?"), 0.6, alive) is None
    assert kept.gates["negation"] == 1


def test_what_is_stale_killed_or_unservable_is_not_found() -> None:
    clock = Clock()
    kept = cache(clock=clock)
    kept.put(question(PIN), b"k", answer(), 60, 100)
    assert kept.find(question(PIN), 0.9, lambda key: key != b"k") is None
    clock.now += 60
    assert kept.find(question(PIN), 0.9, alive) is None
    assert not kept.put(question(PIN), b"k", answer(finish="content_filter"), 60, 100)


def test_the_nearest_that_passes_is_served() -> None:
    kept = cache()
    for number, text in enumerate(
        (PIN, "How do I not reset my PIN?", "Now how do I reset my PIN?")
    ):
        kept.put(question(text), bytes([number]), answer(text), 60, 100)
    found = kept.find(question(PIN), 0.5, alive)
    assert found is not None
    assert found.key == b"\x00"


def test_an_equal_key_replaces_its_entry() -> None:
    kept = cache()
    kept.put(question(PIN), b"k", answer("old"), 60, 100)
    kept.put(question(PIN), b"k", answer("new and longer"), 60, 100)
    found = kept.find(question(PIN), 0.9, alive)
    assert found is not None
    assert found.answer.text == "new and longer"
    assert len(kept) == 1


def test_vectors_of_another_length_begin_the_partition_anew() -> None:
    kept = cache()
    kept.put(question(PIN), b"k", answer(), 60, 100)
    short = Question(b"p", np.array([1, 0], np.float32), read(PIN))
    assert kept.find(short, 0.5, alive) is None
    kept.put(short, b"s", answer(), 60, 100)
    assert kept.find(short, 0.5, alive) is not None
    assert len(kept) == 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 2000)), max_size=80),
    st.integers(1, 12),
    st.integers(1, 30),
)
def test_entries_and_bytes_stay_within_their_bounds_and_are_counted(
    steps: list[tuple[int, int, int]], in_partition: int, in_total: int
) -> None:
    kept = cache(in_total, 60_000)
    for where, number, length in steps:
        asked = Question(bytes([where]), np.eye(50, dtype=np.float32)[number], read(PIN))
        kept.put(asked, bytes([where, number]), answer("x" * length), 60, in_partition)
        parts = kept._partitions.values()
        assert kept.entries == sum(len(part.entries) for part in parts) <= in_total
        assert kept.size_bytes == sum(e.size_bytes for part in parts for e in part.entries)
        assert kept.size_bytes <= 60_000
        assert all(len(part.entries) <= in_partition for part in parts)
        for part in parts:
            assert {key: part.entries[at].key for key, at in part._places.items()} == {
                e.key: e.key for e in part.entries
            }
    kept.clear()
    assert (kept.entries, kept.size_bytes) == (0, 0)


@pytest.mark.parametrize(
    "change",
    ["tenant_id", "route", "policy", "prompt", "config", "index", "cap"],
)
def test_nothing_crosses_a_partition(change: str) -> None:
    names = ("tenant_id", "route", "policy", "prompt", "config", "index")
    parts: dict[str, Any] = dict.fromkeys(names, "a")
    one = Scope(**parts)
    parts[change] = 7 if change == "cap" else "b"
    other = Scope(**parts)
    keys = {partition_key(scope, {"temperature": 0}, [], {}, {}) for scope in (one, other)}
    assert len(keys) == 2


def test_parameters_earlier_messages_native_fields_and_headers_are_of_the_partition() -> None:
    scope = Scope(tenant_id="t", route="r")
    fields = {"temperature": 0, "messages": ["whatever"], "model": "m"}
    keys = {
        partition_key(scope, fields, [], {}, {}),
        partition_key(scope, fields | {"temperature": 1}, [], {}, {}),
        partition_key(scope, fields, [{"role": "system", "content": "x"}], {}, {}),
        partition_key(scope, fields, [], {"thinking": 1}, {}),
        partition_key(scope, fields, [], {}, {"anthropic-beta": "x"}),
    }
    assert len(keys) == 5
    assert partition_key(scope, fields | {"messages": [1]}, [], {}, {}) in keys

"""What every index does, whatever it is made of: one suite for all engines of the registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest
from tests.retrieval.index.engines import EngineUnderTest
from tests.retrieval.index.material import (
    CONDITIONS,
    GROUPS,
    PARTITION,
    Entry,
    batch,
    brute_force,
    direction,
    entry,
    question,
    random_entries,
    random_filter,
)

from santral.errors import BadRequest, StoreError
from santral.retrieval.access import Scope, as_administrator, as_member
from santral.retrieval.filter import Condition
from santral.retrieval.index.entry import Candidates, IndexQuery, Partition
from santral.retrieval.index.index import IndexReader, IndexWriter
from santral.retrieval.index.signal import Signal

pytestmark = pytest.mark.anyio

SIGNALS: tuple[Signal, ...] = ("bm25", "ngrams", "dense")
EVERYTHING = as_administrator("acme", "docs")


@asynccontextmanager
async def writing(
    index: EngineUnderTest, partition: Partition = PARTITION
) -> AsyncGenerator[IndexWriter]:
    writer = await index.writer(partition)
    try:
        yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def reading(
    index: EngineUnderTest, partition: Partition = PARTITION
) -> AsyncGenerator[IndexReader]:
    reader = await index.reader(partition)
    try:
        yield reader
    finally:
        await reader.close()


async def publish(
    index: EngineUnderTest, entries: Sequence[Entry], partition: Partition = PARTITION
) -> None:
    async with writing(index, partition) as writer:
        await writer.put(batch(entries))
        await writer.publish()


async def ids(reader: IndexReader, text: str, scope: Scope = EVERYTHING) -> set[str]:
    found = await reader.search(scope, question(text))
    return {one.chunk.id for one in found.found if one.scores["bm25"] > 0}


# --- what is visible, and when ---


async def test_nothing_is_seen_before_it_is_published_and_everything_after(
    index: EngineUnderTest,
) -> None:
    await publish(index, [entry("old", "annual leave")])
    async with reading(index) as reader, writing(index) as writer:
        before = reader.state
        await writer.put(batch([entry("new", "leave without notice")]))
        await writer.remove(["old"])
        assert not await reader.refresh()
        assert await ids(reader, "leave") == {"old-0"}
        published = await writer.publish()
        assert await reader.refresh()
        assert await ids(reader, "leave") == {"new-0"}
        assert reader.state == published
        assert published.generation != before.generation
        assert (published.documents, published.chunks) == (1, 1)
        assert not await reader.refresh()


async def test_a_reader_may_be_there_before_the_first_document(index: EngineUnderTest) -> None:
    async with reading(index) as reader:
        found = await reader.search(EVERYTHING, question("leave", vector=direction(1)))
        assert found == Candidates((), {"bm25": 0, "ngrams": 0, "dense": 0}, found.least)
        assert (reader.state.documents, reader.state.chunks) == (0, 0)
        assert await reader.stretch(EVERYTHING, "d", 0, 9) == []
        await publish(index, [entry("d", "annual leave")])
        assert await reader.refresh()
        assert await ids(reader, "leave") == {"d-0"}


async def test_a_document_is_replaced_whole(index: EngineUnderTest) -> None:
    await publish(index, [entry("d", "one leave", "two leave", "three leave"), entry("e", "leave")])
    async with writing(index) as writer:
        await writer.put(batch([entry("d", "notice", seed=1)]))
        state = await writer.publish()
    assert (state.documents, state.chunks) == (2, 2)
    async with reading(index) as reader:
        assert await ids(reader, "leave") == {"e-0"}
        assert await ids(reader, "notice") == {"d-0"}
        assert [one.text for one in await reader.stretch(EVERYTHING, "d", 0, 9)] == ["notice"]


async def test_a_document_put_twice_before_publishing_is_there_once(
    index: EngineUnderTest,
) -> None:
    async with writing(index) as writer:
        await writer.put(batch([entry("d", "leave"), entry("e", "leave")]))
        await writer.put(batch([entry("d", "notice", seed=1)]))
        await writer.remove(["e", "never there"])
        state = await writer.publish()
    assert (state.documents, state.chunks) == (1, 1)
    async with reading(index) as reader:
        assert await ids(reader, "leave notice") == {"d-0"}


async def test_what_was_put_in_is_held_with_its_fingerprint(index: EngineUnderTest) -> None:
    async with writing(index) as writer:
        assert await writer.held() == {}
        await writer.put(batch([entry("d", "leave"), entry("empty")]))
        assert await writer.held() == {"d": "d-0", "empty": "empty-0"}
        await writer.publish()
        await writer.put(batch([entry("d", "leave", seed=7)]))
        await writer.remove(["empty"])
        assert await writer.held() == {"d": "d-7"}
        await writer.publish()
    async with writing(index) as writer:
        assert await writer.held() == {"d": "d-7"}


async def test_the_next_writer_ends_what_the_last_one_left(index: EngineUnderTest) -> None:
    await publish(index, [entry("d", "leave"), entry("e", "leave")])
    async with writing(index) as writer:
        await writer.put(batch([entry("d", "notice", seed=1), entry("f", "leave")]))
        await writer.remove(["e"])
    # Closed without publishing. Whatever is still held: putting what is missing in mends it.
    async with reading(index) as reader:
        assert await ids(reader, "leave") == {"d-0", "e-0"}
    wanted = {one.document.id: one for one in (entry("d", "notice", seed=1), entry("g", "leave"))}
    async with writing(index) as writer:
        held = await writer.held()
        await writer.remove([name for name in held if name not in wanted])
        missing = [
            one for name, one in wanted.items() if held.get(name) != one.document.fingerprint
        ]
        await writer.put(batch(missing))
        await writer.publish()
        assert await writer.held() == {"d": "d-1", "g": "g-0"}
    async with reading(index) as reader:
        assert await ids(reader, "leave notice") == {"d-0", "g-0"}


# --- what is found ---


@pytest.mark.parametrize("seed", range(4))
async def test_search_finds_what_brute_force_finds(index: EngineUnderTest, seed: int) -> None:
    entries = random_entries(seed, 60)
    await publish(index, entries)
    rng = np.random.default_rng(seed)
    async with reading(index) as reader:
        for number in range(25):
            text = " ".join(rng.choice(["leave", "izin", "IGDIR", "москва", "notice period"], 2))
            vector = direction(number) if number % 5 else None
            query = question(
                text, *random_filter(rng), vector=vector, limit=int(rng.integers(1, 80))
            )
            held = frozenset(rng.choice(GROUPS, int(rng.integers(3))).tolist())
            scope = EVERYTHING if number % 4 == 0 else as_member("acme", "docs", held)
            await assert_equals_brute_force(index, reader, entries, scope, text, query)


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
async def test_every_operator_chooses_the_chunks_it_says(
    index: EngineUnderTest, condition: Condition
) -> None:
    entries = random_entries(99, 40)
    await publish(index, entries)
    async with reading(index) as reader:
        query = question("leave", condition, vector=direction(1), limit=1000)
        await assert_equals_brute_force(index, reader, entries, EVERYTHING, "leave", query)


async def test_any_order_of_changes_finds_what_one_batch_finds(index: EngineUnderTest) -> None:
    final = random_entries(5, 40)
    async with writing(index) as writer:
        await writer.put(batch(random_entries(6, 50)))
        await writer.publish()
        for first in range(0, 40, 7):
            await writer.put(batch(final[first : first + 7]))
            await writer.publish()
        await writer.remove([f"d{number}" for number in range(40, 50)])
        await writer.publish()
    query = question("leave notice", vector=direction(2), limit=1000)
    async with reading(index) as reader:
        await assert_equals_brute_force(index, reader, final, EVERYTHING, "leave notice", query)


async def test_a_filter_that_keeps_one_of_a_hundred_keeps_recall(index: EngineUnderTest) -> None:
    entries = [
        entry(f"d{n}", "leave", attributes={"team": "red" if n % 100 == 0 else "blue"})
        for n in range(2000)
    ]
    await publish(index, entries)
    red = {one.chunks[0].id: one.vectors[0] for one in entries[::100]}
    recall: list[float] = []
    async with reading(index) as reader:
        for seed in range(20):
            vector = direction(seed)
            condition = Condition("attributes.team", "eq", "red")
            found = await reader.search(
                EVERYTHING, question("", condition, vector=vector, limit=10)
            )
            by_score = sorted(red, key=lambda name: -float(red[name] @ vector))
            positive = {name for name in by_score[:10] if red[name] @ vector > 0.02}
            names = {one.chunk.id for one in found.found}
            assert names <= red.keys()
            recall.append(len(positive & names) / (len(positive) or 1))
    assert np.mean(recall) >= 0.95


async def test_candidates_carry_chunk_document_and_vector(index: EngineUnderTest) -> None:
    (one,) = entries = [
        entry(
            "d", "yıllık izin", "notice", language="tr", url="https://example.com", owner="ayse",
            groups=["hr"], attributes={"rank": 1.0, "ok": True, "team": "İK"}, modified_at=12.5,
        )
    ]  # fmt: skip
    await publish(index, entries)
    async with reading(index) as reader:
        found = await reader.search(EVERYTHING, question("notice", vector=direction(1)))
        candidate = next(it for it in found.found if it.chunk.id == "d-1")
        assert candidate.chunk == one.chunks[1]
        assert candidate.document == one.document
        assert candidate.vector is not None
        assert candidate.vector.dtype == np.float32
        assert float(candidate.vector @ one.vectors[1]) > 0.99
        assert reader.state.languages == ("tr",)
        assert await reader.stretch(EVERYTHING, "d", 1, 1) == [one.chunks[1]]
        assert await reader.stretch(EVERYTHING, "d", -3, 99) == list(one.chunks)
        assert await reader.stretch(EVERYTHING, "e", 0, 9) == []


# --- who may see it ---


async def test_what_is_hidden_has_no_part_in_what_is_returned(index: EngineUnderTest) -> None:
    seen = [entry(f"s{n}", "annual leave", "notice period") for n in range(5)]
    hidden = [
        entry(f"h{n}", "leave leave leave notice", "leave", groups=["board"]) for n in range(20)
    ]
    query = question("annual leave", vector=hidden[0].vectors[0], limit=1000)
    member = as_member("acme", "docs", ["hr"])
    await publish(index, seen)
    async with reading(index) as reader:
        alone = await reader.search(member, query)
    await publish(index, hidden)
    async with reading(index) as reader:
        among = await reader.search(member, query)
        assert {one.chunk.document_id for one in among.found} <= {f"s{n}" for n in range(5)}
        assert await reader.stretch(member, "h0", 0, 9) == []
        assert len(await reader.stretch(as_member("acme", "docs", ["board"]), "h0", 0, 9)) == 2
    if not index.counts_hidden:
        for signal in SIGNALS:
            assert among.best[signal] == pytest.approx(alone.best[signal])
            assert among.least[signal] == pytest.approx(alone.least[signal])
        scores = {one.chunk.id: one.scores for one in alone.found}
        assert {one.chunk.id: pytest.approx(one.scores) for one in among.found} == scores


async def test_other_tenants_collections_and_versions_are_never_seen(
    index: EngineUnderTest,
) -> None:
    others = [
        Partition("globex", "docs", 1),
        Partition("acme", "other", 1),
        Partition("acme", "docs", 2),
    ]
    for number, partition in enumerate(others):
        await publish(index, [entry("d", f"leave {number}", seed=number)], partition)
    await publish(index, [entry("mine", "annual leave")])
    async with reading(index) as reader:
        found = await reader.search(EVERYTHING, question("leave", vector=direction(1), limit=1000))
        assert {one.chunk.document_id for one in found.found} == {"mine"}
        assert await reader.stretch(EVERYTHING, "d", 0, 9) == []
        for scope in (as_administrator("globex", "docs"), as_administrator("acme", "other")):
            with pytest.raises(StoreError):
                await reader.search(scope, question("leave"))
            with pytest.raises(StoreError):
                await reader.stretch(scope, "mine", 0, 9)
    async with writing(index) as writer:
        assert await writer.held() == {"mine": "mine-0"}
        await writer.drop()
    for number, partition in enumerate(others):
        async with reading(index, partition) as reader:
            scope = as_administrator(partition.tenant_id, partition.collection)
            (one,) = await reader.stretch(scope, "d", 0, 9)
            assert one.text == f"leave {number}"


@pytest.mark.parametrize("name", ["..", "a/b", "a b", "İşçi", "x" * 120, "a'b\"c", "%2E"])
async def test_any_name_makes_a_partition_of_its_own(index: EngineUnderTest, name: str) -> None:
    partition = Partition(name, name, 1)
    await publish(index, [entry("d", "leave")], partition)
    await publish(index, [entry("e", "leave")], Partition(name, name + "2", 1))
    async with reading(index, partition) as reader:
        assert await ids(reader, "leave", as_administrator(name, name)) == {"d-0"}


# --- what is refused, and what ends ---


async def test_vectors_of_another_dimension_are_refused(index: EngineUnderTest) -> None:
    await publish(index, [entry("d", "leave")])
    async with writing(index) as writer:
        with pytest.raises(BadRequest, match="16") as refused:
            await writer.put(batch([entry("e", "leave", dimensions=8)], 8))
        assert refused.value.detail_code == "wrong_dimension"
        await writer.put(batch([entry("f", "leave")]))
        await writer.publish()
        assert await writer.held() == {"d": "d-0", "f": "f-0"}
    async with reading(index) as reader:
        with pytest.raises(StoreError, match="16"):
            await reader.search(EVERYTHING, question("leave", vector=direction(1, 8)))


async def test_a_collection_without_vectors_is_searched_by_its_words(
    index: EngineUnderTest,
) -> None:
    async with writing(index) as writer:
        await writer.put(batch([entry("d", "leave", dimensions=0)], 0))
        state = await writer.publish()
    assert state.dimensions == 0
    async with reading(index) as reader:
        found = await reader.search(EVERYTHING, question("leave"))
        assert [one.chunk.id for one in found.found] == ["d-0"]
        assert found.best["bm25"] > 0
        assert found.best["dense"] == 0


async def test_a_snapshot_brings_back_what_was_published(
    index: EngineUnderTest, tmp_path: Path
) -> None:
    entries = random_entries(1, 20)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    async with writing(index) as writer:
        await writer.put(batch(entries))
        saved = await writer.publish()
        await writer.put(batch([entry("unpublished", "leave")]))
        await writer.save_snapshot(snapshot)
        await writer.remove([one.document.id for one in entries])
        await writer.publish()
    async with reading(index) as reader, writing(index) as writer:
        restored = await writer.restore_snapshot(snapshot)
        assert (restored.documents, restored.chunks) == (saved.documents, saved.chunks)
        assert await writer.held() == {one.document.id: one.document.fingerprint for one in entries}
        assert await reader.refresh()
        query = question("leave", vector=direction(1))
        await assert_equals_brute_force(index, reader, entries, EVERYTHING, "leave", query)


async def test_a_damaged_or_foreign_snapshot_changes_nothing(
    index: EngineUnderTest, tmp_path: Path
) -> None:
    for name in ("damaged", "foreign", "empty", "cut"):
        (tmp_path / name).mkdir()
    await publish(index, [entry("other", "leave")], Partition("globex", "docs", 1))
    async with writing(index, Partition("globex", "docs", 1)) as writer:
        await writer.save_snapshot(tmp_path / "foreign")
    async with writing(index) as writer:
        await writer.put(batch(random_entries(1, 20)))
        await writer.publish()
        for name in ("damaged", "cut"):
            await writer.save_snapshot(tmp_path / name)
    largest = max((tmp_path / "damaged").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 255
    largest.write_bytes(content)
    largest = max((tmp_path / "cut").rglob("*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    async with reading(index) as reader, writing(index) as writer:
        before = await ids(reader, "leave")
        for name in ("damaged", "foreign", "empty", "cut"):
            with pytest.raises(StoreError):
                await writer.restore_snapshot(tmp_path / name)
        await reader.refresh()
        assert await ids(reader, "leave") == before
        assert len(await writer.held()) == 20


async def test_what_is_dropped_leaves_nothing(index: EngineUnderTest) -> None:
    await publish(index, random_entries(1, 10))
    async with reading(index) as reader:
        async with writing(index) as writer:
            await writer.put(batch([entry("unpublished", "leave")]))
            await writer.drop()
        assert await index.left_behind(PARTITION) == []
        assert await reader.refresh()
        assert await ids(reader, "leave") == set()
    async with writing(index) as writer:
        assert await writer.held() == {}
        await writer.put(batch([entry("d", "leave", dimensions=8)], 8))
        assert (await writer.publish()).dimensions == 8


async def test_readers_see_one_state_or_the_next_while_it_is_written(
    index: EngineUnderTest,
) -> None:
    rounds, names = 12, [f"d{number}" for number in range(10)]
    await publish(index, [entry(name, "leave round0") for name in names])
    seen: list[int] = []
    is_over = False

    async def look(reader: IndexReader) -> None:
        while not is_over:
            await reader.refresh()
            found = await reader.search(EVERYTHING, question("leave", limit=100))
            rounds_seen = {one.chunk.text.split()[1] for one in found.found}
            # All documents change in one publication: a mixture is a torn state.
            assert len(rounds_seen) == 1
            assert len(found.found) == len(names)
            seen.append(int(rounds_seen.pop().removeprefix("round")))
            await anyio.sleep(0)

    async with (
        reading(index) as first,
        reading(index) as second,
        anyio.create_task_group() as group,
    ):
        group.start_soon(look, first)
        group.start_soon(look, second)
        async with writing(index) as writer:
            for number in range(1, rounds):
                for name in names:
                    changed = entry(name, f"leave round{number}", seed=number)
                    await writer.put(batch([changed]))
                await writer.publish()
                await anyio.sleep(0.01)
        is_over = True
    assert len(set(seen)) > 1


async def test_a_server_that_does_not_answer_is_named_in_time(index: EngineUnderTest) -> None:
    async def ask() -> None:
        reader = await index.unreachable()
        if reader is None:
            pytest.skip("this index has no server")
        try:
            await reader.search(EVERYTHING, question("leave"))
        finally:
            await reader.close()

    with anyio.fail_after(10), pytest.raises(StoreError) as refused:
        await ask()
    assert refused.value.retryable


async def assert_equals_brute_force(
    index: EngineUnderTest,
    reader: IndexReader,
    entries: Sequence[Entry],
    scope: Scope,
    text: str,
    query: IndexQuery,
) -> None:
    """Compare scores, extremes, and which chunks are among the best, up to ties and tolerance."""
    expected = brute_force(entries, scope, text, query, counts_hidden=index.counts_hidden)
    found = await reader.search(scope, query)
    names = [one.chunk.id for one in found.found]
    assert len(set(names)) == len(names)
    assert set(names) <= expected.scores.keys()
    for signal in SIGNALS:
        part = 0.0 if signal == "dense" else index.lexical_tolerance
        least = index.dense_tolerance if signal == "dense" else 1e-6

        def near(score: float, part: float = part, least: float = least) -> object:
            return pytest.approx(score, rel=part, abs=least)

        for one in found.found:
            raw = expected.scores[one.chunk.id][signal]
            assert one.scores[signal] == near(raw), (signal, one.chunk.id)
        assert found.best[signal] == near(expected.best(signal))
        assert found.least[signal] == near(expected.least(signal))
        # Whoever is clearly above the bound has to be there, and clearly above 0.
        bound = expected.bound(signal, query.limit)
        margin = 2 * (least + part * bound)
        needed = {
            name for name, raw in expected.scores.items() if raw[signal] > max(bound, 0) + margin
        }
        assert needed <= set(names), (signal, needed - set(names))

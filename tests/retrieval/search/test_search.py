"""Search: one tenant's passages, filtered, merged, within a budget."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.retrieval.conftest import Library, settings
from tests.retrieval.indexes import chunk, put_index

from santral.config.collections import CollectionConfig
from santral.errors import BadRequest, NotFound
from santral.retrieval.index.embedded import generation
from santral.retrieval.index.embedded.passages import IndexedDocument, pack_passages
from santral.retrieval.search.passage import select_passages
from santral.retrieval.search.search import Searcher
from santral.wire.usage import estimate_tokens

WORDS = ("leave", "travel", "laptop", "salary", "office", "holiday", "kitchen", "badge")


def searcher(data: Path, collections: dict[str, CollectionConfig] | None = None) -> Searcher:
    made = Searcher(data, collections or {})
    made.refresh()
    return made


def texts_of(found: Searcher, tenant: str, query: str, **filters: str) -> list[str]:
    return [
        source.text
        for source in found.search(tenant, "docs", query, top_k=5, max_tokens=1000, filters=filters)
    ]


@pytest.mark.anyio
async def test_a_turkish_question_finds_its_answer_however_it_is_typed(library: Library) -> None:
    library.write(
        "izin.md",
        "# El Kitabı\n\n## Yıllık İzin\n\nYıllık izin süresi on dört gündür.\n\n"
        "## Seyahat\n\nIğdır'daki otel masrafı karşılanır.\n",
    )
    await library.ingest()
    for query in ("yıllık izin kaç gün?", "YILLIK İZİN KAÇ GÜN?", "yillik izin kac gun"):
        (best, *_) = library.search(query)
        assert (best.number, best.section) == (1, "El Kitabı > Yıllık İzin")
        assert (best.document, best.title) == ("files/izin.md", "El Kitabı")
    for query in ("Iğdır'da otel", "IĞDIR OTEL", "igdirda otel"):
        assert library.search(query)[0].section == "El Kitabı > Seyahat"


@pytest.mark.anyio
async def test_tenants_never_see_each_other(library: Library) -> None:
    await library.tenant("globex")
    library.write("acme/plan.md", "# Plan\n\nThe acme launch is in May.")
    library.write("globex/plan.md", "# Plan\n\nThe globex launch is in June.")
    await library.ingest(library.root / "acme", tenant="acme")
    with pytest.raises(NotFound):
        library.search("launch", tenant="globex")
    await library.ingest(library.root / "globex", tenant="globex")
    assert [s.text for s in library.search("launch")] == ["The acme launch is in May."]
    assert [s.text for s in library.search("launch", "globex")] == ["The globex launch is in June."]


@hypothesis_settings(deadline=None, max_examples=8)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=8),
    st.sampled_from(WORDS),
)
def test_the_tenant_filter_holds(
    tmp_path_factory: pytest.TempPathFactory, bags: list[list[str]], word: str
) -> None:
    data = tmp_path_factory.mktemp("data")
    names = [f"t{n % 3}" for n in range(len(bags))]
    for tenant in set(names):
        own = [" ".join(bag) for bag, name in zip(bags, names, strict=True) if name == tenant]
        put_index(data, tenant, "docs", [f"{tenant} {text}" for text in own])
    found = searcher(data)
    for tenant in set(names):
        assert all(text.startswith(f"{tenant} ") for text in texts_of(found, tenant, word))
    shutil.rmtree(data)


def test_an_index_in_another_tenants_folder_is_refused(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["secret plan"])
    shutil.copytree(
        generation.partition(tmp_path, "acme", "docs"),
        generation.partition(tmp_path, "globex", "docs"),
    )
    found = searcher(tmp_path)
    assert "belongs to another tenant" in found.problems[0]
    with pytest.raises(NotFound):
        texts_of(found, "globex", "plan")
    assert texts_of(found, "acme", "plan") == ["secret plan"]


def test_a_shared_collection_is_open_to_the_listed_tenants_only(tmp_path: Path) -> None:
    put_index(tmp_path, "default", "docs", ["public manual"])
    put_index(tmp_path, "mallory", "docs", ["mallory's own manual"])
    shared = settings(tenants=["acme"])
    found = searcher(tmp_path, {"docs": shared})
    assert texts_of(found, "acme", "manual") == ["public manual"]
    assert texts_of(found, "default", "manual") == ["public manual"]
    assert texts_of(found, "mallory", "manual") == ["mallory's own manual"]
    with pytest.raises(NotFound):
        texts_of(found, "globex", "manual")
    found.configure({"docs": settings(tenants=["acme", "globex"])})
    assert texts_of(found, "globex", "manual") == ["public manual"]


def test_an_unknown_collection_names_the_nearest_one_that_may_be_searched(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "handbook", ["text"])
    put_index(tmp_path, "globex", "handbooks", ["text"])
    found = searcher(tmp_path, {"manual": settings()})
    with pytest.raises(NotFound, match=r"no collection 'handbok'. Did you mean 'handbook'\?"):
        found.search("acme", "handbok", "x", top_k=1, max_tokens=100, filters={})
    assert found.search("acme", "manual", "x", top_k=1, max_tokens=100, filters={}) == []


def test_filters_are_applied_inside_the_search(tmp_path: Path) -> None:
    # The one chunk that may be found is the worst of all without the filter.
    put_index(tmp_path, "acme", "docs", ["leave days"] * 60 + ["badge and a leave"])
    found = searcher(tmp_path)
    assert texts_of(found, "acme", "leave days", document="files/60.md") == ["badge and a leave"]
    assert texts_of(found, "acme", "leave days", source="files/60") == ["badge and a leave"]
    assert texts_of(found, "acme", "leave days", section="S60") == ["badge and a leave"]
    assert texts_of(found, "acme", "leave days", title="T60", language="tr") == [
        "badge and a leave"
    ]
    assert texts_of(found, "acme", "leave days", title="T60", language="en") == []
    assert texts_of(found, "acme", "leave days", kind="pdf") == []
    with pytest.raises(BadRequest, match=r"Unknown filter 'languages'.*Did you mean 'language'\?"):
        texts_of(found, "acme", "leave", languages="tr")


@pytest.mark.parametrize(
    "query", ["", "   ", "?!", "the of and", "xyzzyqqq", "\x00\ud800", "a" * 50_000]
)
def test_a_question_without_a_match_finds_nothing_and_never_fails(
    query: str, tmp_path: Path
) -> None:
    put_index(tmp_path, "acme", "docs", ["annual leave", "travel costs"])
    texts_of(searcher(tmp_path), "acme", query)


def test_a_long_question_is_searched_by_its_beginning_and_its_end(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["annual leave", "travel costs", "middle kingdom"])
    filler = "zzz " * 5_000
    query = f"travel {filler} kingdom {filler} annual"
    assert texts_of(searcher(tmp_path), "acme", query)[:2] == ["annual leave", "travel costs"]


def test_a_collection_whose_documents_are_gone_is_empty_not_unknown(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", [])
    assert texts_of(searcher(tmp_path), "acme", "anything") == []


def test_equal_passages_are_given_once(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["annual leave"] * 3 + ["leave the room"])
    assert texts_of(searcher(tmp_path), "acme", "annual leave") == [
        "annual leave",
        "leave the room",
    ]


def packed(texts: list[str], parents: list[int]):
    chunks = [
        chunk("d", n, text, parent, section=f"Guide > {parent}")
        for n, (text, parent) in enumerate(zip(texts, parents, strict=True))
    ]
    return pack_passages([IndexedDocument("d", "d.md", "D", "markdown", "en")], [chunks])


def test_chunks_of_one_parent_become_one_passage_with_what_stands_between() -> None:
    passages = packed(["one", "two", "three", "four"], [0, 0, 0, 1])
    hits = [(2, 1.0), (3, 0.9), (0, 0.8)]
    sources = select_passages(passages, hits, top_k=5, max_tokens=100)
    assert [(s.number, s.chunk_id, s.text) for s in sources] == [
        (1, "d-2", "one\n\ntwo\n\nthree"),
        (2, "d-3", "four"),
    ]


def test_a_weak_hit_does_not_lengthen_a_passage() -> None:
    passages = packed(["one", "two", "three"], [0, 0, 0])
    (source,) = select_passages(passages, [(2, 1.0), (0, 0.1)], top_k=5, max_tokens=100)
    assert source.text == "three"


@given(
    st.lists(
        st.tuples(st.text("ab .", min_size=1, max_size=400), st.integers(0, 1)),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
    st.integers(5, 120),
    st.integers(1, 5),
)
def test_passages_stay_within_the_budget_and_are_numbered(
    items: list[tuple[str, int]], rng, budget: int, top_k: int
) -> None:
    parents = list(np.cumsum([step for _, step in items]))
    passages = packed([text for text, _ in items], parents)
    rows = list(range(len(items)))
    rng.shuffle(rows)
    hits = [(row, 1.0 - place / 20) for place, row in enumerate(rows)]
    sources = select_passages(passages, hits, top_k=top_k, max_tokens=budget)
    assert sum(estimate_tokens(source.text) for source in sources) <= budget
    assert [source.number for source in sources] == list(range(1, len(sources) + 1))
    assert len(sources) <= top_k
    assert len({source.text for source in sources}) == len(sources)


def test_a_new_generation_is_taken_over_whole_while_searches_run(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["leave version 0"] * 3, revision=0)
    found = searcher(tmp_path)
    stop, failures = threading.Event(), []

    def keep_searching() -> None:
        while not stop.is_set():
            try:
                (text,) = texts_of(found, "acme", "leave version")
            except Exception as error:
                failures.append(repr(error))
                return
            if not text.startswith("leave version"):
                failures.append(text)

    def keep_refreshing() -> None:
        while not stop.is_set():
            found.refresh()
            failures.extend(found.problems)

    threads = [threading.Thread(target=work) for work in (keep_searching, keep_refreshing)]
    for thread in threads:
        thread.start()
    for revision in range(1, 8):
        put_index(tmp_path, "acme", "docs", [f"leave version {revision}"] * 3, revision)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    found.refresh()
    assert texts_of(found, "acme", "leave version") == ["leave version 7"]


def test_an_index_that_cannot_be_read_leaves_the_last_good_one(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["leave one"], 1)
    found = searcher(tmp_path)
    name = put_index(tmp_path, "acme", "docs", ["leave two"], 2)
    (generation.partition(tmp_path, "acme", "docs") / name / "meta.json").write_text("{}")
    assert found.refresh() == 0
    assert "Run santral ingest again" in found.problems[0]
    assert texts_of(found, "acme", "leave") == ["leave one"]
    put_index(tmp_path, "acme", "docs", ["leave three"], 3)
    assert found.refresh() > 0
    assert found.problems == ()
    assert texts_of(found, "acme", "leave") == ["leave three"]


def test_a_removed_index_is_forgotten(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["leave"])
    found = searcher(tmp_path)
    shutil.rmtree(generation.partition(tmp_path, "acme", "docs"))
    assert found.refresh() == 1
    with pytest.raises(NotFound):
        texts_of(found, "acme", "leave")


def test_every_signal_is_shown_on_request(tmp_path: Path) -> None:
    put_index(tmp_path, "acme", "docs", ["annual leave", "travel costs", "the leaves fall"])
    best, *_ = searcher(tmp_path).explain("acme", "docs", "annual leave", top_k=2)
    assert (best.text, best.score) == ("annual leave", pytest.approx(1.0))
    assert best.signals == {"bm25": 1.0, "ngrams": 1.0, "dense": 1.0}

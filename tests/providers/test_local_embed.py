"""The embedded embedder and reranker: deterministic, bounded, and what they can be expected to see."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ParameterNotSupported, ProviderRefusedRequest
from santral.providers.local.embed import LocalEmbedder, LocalReranker, TextFeatures
from santral.providers.provider import Operation, TaskAnswer, TaskCall
from santral.retrieval.analysis.analyse import ngrams, terms

FEATURES = TextFeatures(terms=lambda text: terms(text, "tr"), ngrams=ngrams)
EMBEDDER, RERANKER = LocalEmbedder(FEATURES), LocalReranker(FEATURES)

#: The vector of a short text, written down when the model was made.
PINNED = [0.804518, -0.522937, -0.281581, 0.0]


def do(operation: Operation, model: str, **fields: Any) -> tuple[TaskAnswer, TaskCall]:
    call = TaskCall(operation=operation, model=model, fields=fields, timeouts=TimeoutsConfig())
    doer = EMBEDDER if operation == "embed" else RERANKER
    return asyncio.run(doer(call)), call


def near(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(EMBEDDER.vector(one), EMBEDDER.vector(other), strict=True))


@given(st.text(max_size=200), st.integers(1, 64))
def test_a_vector_has_unit_length_or_none(text: str, dimensions: int) -> None:
    vector = EMBEDDER.vector(text, dimensions)
    assert len(vector) == dimensions
    length = math.sqrt(sum(number * number for number in vector))
    assert length == 0 or math.isclose(length, 1, rel_tol=1e-9)
    assert vector == EMBEDDER.vector(text, dimensions)


def test_vectors_are_the_same_on_every_machine() -> None:
    """Whoever stores them compares them with those of tomorrow."""
    vector = EMBEDDER.vector("İstanbul'da hava", 4)
    assert vector == pytest.approx(PINNED, abs=1e-6)


def test_spellings_and_suffixes_of_turkish_meet() -> None:
    assert near("IĞDIR FATURASI", "ığdır faturası") == pytest.approx(1)
    assert near("faturalarımızı ödemek", "fatura ödeme") > 0.4
    assert near("faturalarımızı ödemek", "köpek maması") < 0.15


def test_it_knows_words_and_no_meanings() -> None:
    assert near("a car", "an automobile") < 0.3


def test_embeddings_are_counted_and_rounded() -> None:
    answer, call = do("embed", "hashing", input=["a b c", ""], input_type="query", strange=1)
    rows = json.loads(answer.body)["data"]
    assert [row["index"] for row in rows] == [0, 1]
    assert rows[1]["embedding"] == [0.0] * 512
    assert answer.usage.input_tokens == 3
    assert not answer.usage.is_estimated
    assert call.losses.names() == ["strange"]


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(ProviderRefusedRequest, match="it has hashing"):
        do("embed", "bm25", input="a")
    with pytest.raises(ProviderRefusedRequest, match="it has bm25"):
        do("rerank", "hashing", query="a", documents=["a"])
    with pytest.raises(ParameterNotSupported, match="4096"):
        do("embed", "hashing", input="a", dimensions=5000)
    with pytest.raises(ParameterNotSupported, match="token ids"):
        do("embed", "hashing", input=[1, 2])


@given(st.text(max_size=40), st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_scores_lie_between_nothing_and_one(query: str, documents: list[str]) -> None:
    scores = RERANKER.scores(query, documents)
    assert len(scores) == len(documents)
    assert all(0 <= score <= 1 for score in scores)


def test_a_document_with_the_rarer_words_comes_first() -> None:
    documents = ["the invoice is late", "the dog is late", {"text": "the late invoice was paid"}]
    answer, _ = do("rerank", "bm25", query="paid invoice", documents=documents, top_n=1)
    results = json.loads(answer.body)["results"]
    best = sorted(results, key=lambda result: -result["relevance_score"])
    assert [result["index"] for result in best] == [2, 0, 1]
    assert best[-1]["relevance_score"] == 0

"""Vectors are computed once, and kept by what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, ProviderUnreachable
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.embedding import store
from santral.retrieval.embedding.cached import Cached, key_of
from santral.retrieval.embedding.model import ModelCard

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Counting:
    """Counts what it is asked; a text's vector begins with its length."""

    def __init__(self, digest: str = "one", dimensions: int = 4) -> None:
        self.card = ModelCard(name="counting", digest=digest, dimensions=dimensions)
        self.seen: list[str] = []
        self.fails_after = 10_000

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        if len(self.seen) + len(texts) > self.fails_after:
            raise ProviderUnreachable("gone")
        self.seen += texts
        made = np.zeros((len(texts), self.card.dimensions), np.float32)
        made[:, 0] = [len(text) for text in texts]
        made[:, 1] = 1
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    async def embed_query(self, text: str) -> Floats:
        return (await self.embed_documents([text]))[0]


def cached(model: Counting, engine: Engine, tenant: str = "acme") -> Cached:
    return Cached(model, engine, tenant, lambda: NOW)


async def test_only_what_is_new_is_computed(engine: Engine) -> None:
    model = Counting()
    first = await cached(model, engine).embed_documents(["a", "bb", "a"])
    again = cached(model, engine)
    second = await again.embed_documents(["bb", "ccc", "a"])
    assert model.seen == ["a", "bb", "ccc"]
    assert again.computed == 1
    assert np.array_equal(second[[2, 0]], first[[0, 1]])
    assert np.allclose(np.linalg.norm(second, axis=1), 1, atol=2e-3)


async def test_vectors_are_a_tenants_and_a_models_own(engine: Engine) -> None:
    one, other = Counting("one"), Counting("other")
    await cached(one, engine).embed_documents(["a"])
    await cached(one, engine, "globex").embed_documents(["a"])
    await cached(other, engine).embed_documents(["a"])
    assert (one.seen, other.seen) == (["a", "a"], ["a"])


async def test_what_was_computed_before_a_failure_stays(engine: Engine) -> None:
    model = Counting()
    texts = [f"text {number}" for number in range(600)]
    model.fails_after = 300
    with pytest.raises(ProviderUnreachable):
        await cached(model, engine).embed_documents(texts)
    kept = len(model.seen)
    assert kept == 256
    model.fails_after = 10_000
    await cached(model, engine).embed_documents(texts)
    assert len(model.seen) == 600


async def test_a_vector_of_another_length_is_refused_by_name(engine: Engine) -> None:
    model = Counting()
    async with writing(engine) as conn:
        wrong = np.zeros(3, "<f2").tobytes()
        await store.add_vectors(conn, "acme", key_of(model.card), {"hash": wrong}, NOW)
    with pytest.raises(BadRequest, match="vectors of 3 numbers") as refused:
        await cached(model, engine).embed_chunks(["hash"], ["a"])
    assert refused.value.detail_code == "wrong_dimension"


async def test_vectors_of_other_models_are_swept(engine: Engine) -> None:
    one, other = Counting("one"), Counting("other")
    for model in (one, other):
        await cached(model, engine).embed_documents(["a", "b"])
    await cached(other, engine, "globex").embed_documents(["a"])
    async with writing(engine) as conn:
        assert await store.delete_vectors_of_others(conn, "acme", [key_of(one.card)]) == 2
    async with reading(engine) as conn:
        key = key_of(other.card)
        assert await store.find_vectors(conn, "acme", key, ["x"]) == {}
    await cached(one, engine).embed_documents(["a"])
    await cached(other, engine, "globex").embed_documents(["a"])
    assert (one.seen, other.seen) == (["a", "b"], ["a", "b", "a"])

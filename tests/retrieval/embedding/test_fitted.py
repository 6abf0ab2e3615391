"""Vectors fitted to a collection: what is near, what folding in costs, and how a fit is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from santral.db.engine import Engine, reading
from santral.errors import StoreError
from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import gram_keys, stem_keys, terms_of
from santral.retrieval.embedding import store
from santral.retrieval.embedding.fitted.artefact import digest_of, pack, unpack
from santral.retrieval.embedding.fitted.file import fitted_folder, read_fit
from santral.retrieval.embedding.fitted.fit import FIT_CHUNKS, fit, sample_of
from santral.retrieval.embedding.fitted.keep import fetch_fit, fit_model, sweep_fits
from santral.retrieval.embedding.fitted.model import FittedModel, made_of
from santral.retrieval.embedding.fitted.projection import Projection

NOW = datetime(2026, 11, 22, tzinfo=UTC)

#: Three subjects; within one, no two texts share all words.
TEXTS = [
    "the printer prints paper with ink and toner",
    "ink and toner of the printer are in the cupboard",
    "a paper jam stops the printer until the tray is opened",
    "the cupboard holds paper for the tray of the printer",
    "annual leave is asked for two weeks before holidays",
    "the manager approves leave and holidays of the team",
    "leave that is not taken before the year ends is lost",
    "a team plans holidays with the manager each year",
    "the server room is cooled, servers stop when it is hot",
    "servers are restarted by the night shift of operations",
    "operations cools the server room at night",
    "a hot room stops servers and the night shift is called",
]


def counted(texts: list[str] = TEXTS) -> tuple[Terms, Terms]:
    english: list[Language] = ["en"] * len(texts)
    return terms_of(texts, english)


def fitted(dimensions: int = 8) -> Projection:
    return fit(*counted(), dimensions)


def test_texts_on_one_subject_are_near() -> None:
    vectors = fitted(3).vectors_of(*counted())
    near = vectors @ vectors.T
    for first in range(0, 12, 4):
        inside = near[first : first + 4, first : first + 4].mean()
        outside = np.delete(near[first : first + 4], range(first, first + 4), axis=1).mean()
        assert inside > outside + 0.4


def test_vectors_have_unit_length_and_the_wanted_dimensions() -> None:
    vectors = fitted(8).vectors_of(*counted())
    assert vectors.shape == (12, 8)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_question_is_near_its_subject() -> None:
    made = fitted(3)
    question = "where do I find toner?"
    vector = made.vector_of(stem_keys(question, ["en"]), gram_keys(question))
    assert int((made.vectors_of(*counted()) @ vector).argmax()) < 4


def test_in_a_small_collection_a_word_of_one_text_is_enough() -> None:
    made = fitted()
    vector = made.vector_of(stem_keys("toner", ["en"]), gram_keys("toner"))
    lost = made.vector_of(stem_keys("lost", ["en"]), gram_keys("lost"))
    assert vector.any()
    assert int((made.vectors_of(*counted()) @ lost).argmax()) == 6


def test_what_a_new_text_will_share_is_told_from_the_others() -> None:
    alike = fit(*counted(["the same words again"] * 8), 4)
    apart = fit(*counted(["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"]), 4)
    assert alike.known_share == 1
    assert apart.known_share < 0.2


def test_a_text_that_shares_nothing_is_zero() -> None:
    made = fitted()
    assert not made.vectors_of(*counted(["", "xqzj"])).any()
    assert not made.vector_of(stem_keys("xqzj", ["en"]), gram_keys("xqzj")).any()


@pytest.mark.parametrize("texts", [[], [""], ["one text alone"], ["same words", "same words"]])
def test_few_or_empty_texts_fit_too(texts: list[str]) -> None:
    made = fit(*counted(texts), 16)
    vectors = made.vectors_of(*counted(texts))
    assert vectors.shape == (len(texts), 16)
    assert np.isfinite(vectors).all()


def test_a_fit_is_the_same_every_time() -> None:
    assert pack(fitted()) == pack(fitted())
    assert pack(fitted()) != pack(fit(*counted(TEXTS[:-1]), 8))


def test_folding_in_gives_the_vectors_of_the_fit() -> None:
    made = fitted()
    whole = made.vectors_of(*counted())
    for place, text in enumerate(TEXTS):
        assert np.allclose(made.vectors_of(*counted([text]))[0], whole[place], atol=1e-5)


def test_a_kept_fit_gives_the_same_vectors() -> None:
    made = fitted()
    artefact = pack(made)
    again = unpack(artefact, digest_of(artefact))
    assert np.array_equal(again.vectors_of(*counted()), made.vectors_of(*counted()))
    assert again.known_share == made.known_share
    assert again.chunks == 12


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"x" + b, lambda b: b""])
def test_a_damaged_fit_is_refused(damage: object) -> None:
    artefact = pack(fitted())
    with pytest.raises(StoreError, match="its bytes have changed"):
        unpack(damage(artefact), digest_of(artefact))  # type: ignore[operator]
    with pytest.raises(StoreError, match="no fitted model"):
        unpack(b"garbage of any length", digest_of(b"garbage of any length"))


def test_a_large_collection_is_fitted_to_a_sample() -> None:
    places = sample_of(10 * FIT_CHUNKS)
    assert len(places) == FIT_CHUNKS
    assert (places[0], places[-1]) == (0, 10 * FIT_CHUNKS - 1)
    assert np.array_equal(sample_of(3), [0, 1, 2])
    assert len(sample_of(0)) == 0


def test_growth_and_unknown_words_ask_for_a_new_fit() -> None:
    model, _ = made_of(fitted())
    assert model.refit_reason(17, 5, model.projection.known_share) == ""
    assert "fitted to 12 chunks, now there are 18" in model.refit_reason(18, 6, 1.0)
    strange = model.projection.known_share_of(*counted(["quuxo frobnitz zyzzyva"] * 3))
    assert strange < 0.5
    assert "of the terms of what is new" in model.refit_reason(13, 3, strange)
    assert model.refit_reason(13, 1, strange) == ""


@pytest.mark.anyio
async def test_a_fit_reaches_a_machine_without_a_file(engine: Engine, tmp_path: Path) -> None:
    made = await fit_model(
        engine, tmp_path / "a", "acme", "docs", *counted(), 8, chunks=12, now=NOW
    )
    digest = made.card.digest
    with pytest.raises(StoreError, match="no file of it yet"):
        read_fit(tmp_path / "b", digest)
    await fetch_fit(engine, tmp_path / "b", "acme", digest)
    read = read_fit(tmp_path / "b", digest)
    assert read.card == made.card
    question = "toner for the printer"
    assert np.array_equal(await read.embed_query(question), await made.embed_query(question))
    assert np.array_equal(await read.embed_documents(TEXTS), await made.embed_documents(TEXTS))


@pytest.mark.anyio
async def test_a_damaged_file_is_fetched_anew(engine: Engine, tmp_path: Path) -> None:
    made = await fit_model(engine, tmp_path, "acme", "docs", *counted(), 8, chunks=12, now=NOW)
    path = fitted_folder(tmp_path) / made.card.digest
    path.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="its bytes have changed"):
        read_fit(tmp_path, made.card.digest)
    await fetch_fit(engine, tmp_path, "acme", made.card.digest)
    assert isinstance(read_fit(tmp_path, made.card.digest), FittedModel)


@pytest.mark.anyio
async def test_fits_are_a_tenants_own_and_go_when_nothing_names_them(
    engine: Engine, tmp_path: Path
) -> None:
    first = await fit_model(engine, tmp_path, "acme", "docs", *counted(), 8, chunks=12, now=NOW)
    second = await fit_model(engine, tmp_path, "acme", "docs", *counted(), 4, chunks=12, now=NOW)
    with pytest.raises(StoreError, match="nowhere to be found"):
        await fetch_fit(engine, tmp_path / "b", "globex", first.card.digest)
    assert await sweep_fits(engine, tmp_path, "acme", "docs", [second.card.digest]) == 1
    async with reading(engine) as conn:
        assert await store.find_fit(conn, "acme", first.card.digest) is None
    assert [path.name for path in fitted_folder(tmp_path).iterdir()] == [second.card.digest]

"""Nearness in the vectors of a model, which is opened once and named in the version."""

from __future__ import annotations

import asyncio

import pytest
from tests.evals.evaluators.scored import scores_of
from tests.evals.judges.asked import Wordy, wordy

from santral.errors import BadRequest
from santral.evals.evaluators.embedding import EmbeddingSimilarity, Params
from santral.evals.tools import Tools

TOOLS = Tools(embedding=wordy)


def test_the_nearest_good_answer_counts() -> None:
    found = scores_of(
        "embedding_similarity", "where?", {"model": "wordy"}, TOOLS,
        expected="when when", references=["where ? where ?"],
    )  # fmt: skip
    assert found[""].value == pytest.approx(1.0)
    apart = scores_of("embedding_similarity", "where", None, TOOLS, expected="when")
    assert apart[""].value == 0
    unknown = scores_of("embedding_similarity", "xyz", None, TOOLS, expected="when")
    assert unknown[""].error == "not_applicable"  # no word of it is known: 0 would be a lie
    assert scores_of("embedding_similarity", "where", None, TOOLS)[""].error == "not_applicable"


def test_another_model_is_another_version() -> None:
    def version(model: Wordy) -> str:
        async def opened(name: str) -> Wordy:
            return model

        made = EmbeddingSimilarity("e", Params(), Tools(embedding=opened))
        asyncio.run(made.prepare())
        return made.version

    class Other(Wordy):
        from santral.retrieval.embedding.model import ModelCard

        card = ModelCard(name="wordy", digest="2", dimensions=4)

    assert version(Wordy()) == version(Wordy()) != version(Other())


def test_without_models_it_says_what_to_do() -> None:
    with pytest.raises(BadRequest, match="nothing here opens models"):
        scores_of("embedding_similarity", "x", expected="y")

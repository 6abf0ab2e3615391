"""A model that does not speak the language of a collection is named, with what it costs."""

from __future__ import annotations

import pytest

from santral.retrieval.analysis.language import Language
from santral.retrieval.embedding.advice import language_advice
from santral.retrieval.embedding.model import ModelCard

ENGLISH = ModelCard(name="minilm", digest="d", dimensions=384, languages=("en",))
ANY = ModelCard(name="lsa", digest="d", dimensions=256)


def test_an_english_model_over_turkish_documents_is_warned_of() -> None:
    said = language_advice(ENGLISH, {"tr": 9, "en": 1})
    assert "'minilm' was made for en" in said
    assert "Turkish" in said
    assert "17 to 27" in said


@pytest.mark.parametrize(
    ("card", "documents"),
    [
        (ENGLISH, {"en": 6, "tr": 4}),
        (ENGLISH, {"en": 5, "tr": 5}),
        (ENGLISH, {}),
        (ANY, {"tr": 10}),
        (None, {"tr": 10}),
    ],
)
def test_nothing_is_said_where_nothing_is_lost(
    card: ModelCard | None, documents: dict[Language, int]
) -> None:
    assert language_advice(card, documents) == ""

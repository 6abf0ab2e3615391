"""Whether a model speaks the language of a collection, and what it costs where it does not."""

from __future__ import annotations

from collections.abc import Mapping

from santral.retrieval.analysis.language import Language
from santral.retrieval.embedding.model import ModelCard

_NAMES: Mapping[Language, str] = {"tr": "Turkish", "en": "English", "other": "another language"}


def language_advice(card: ModelCard | None, documents: Mapping[Language, int]) -> str:
    """Return a warning where most documents are in a language that the model was not made for.

    ``documents`` counts them by language. An empty text: nothing to say. The figures are of
    docs/decisions/0029-embeddings.md.
    """
    if card is None or not card.languages or not any(documents.values()):
        return ""
    foreign = [pair for pair in documents.items() if pair[0] not in card.languages]
    if 2 * sum(count for _, count in foreign) <= sum(documents.values()):
        return ""
    most, _ = max(foreign, key=lambda pair: pair[1])
    return (
        f"The model '{card.name}' was made for {', '.join(card.languages)}, and most documents are in "
        f"{_NAMES[most]}. Measured with an English model on Turkish questions: nDCG@10 of 17 to 27, "
        "where vectors fitted to the collection reach 74 to 90. Take embedding = 'lsa', or a "
        "model that knows the language."
    )

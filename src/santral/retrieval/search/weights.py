"""Fusion weights: how much each signal counts where a collection does not say so itself."""

from __future__ import annotations

from collections.abc import Collection

from santral.retrieval.analysis.language import Language
from santral.retrieval.embedding.model import ModelCard
from santral.retrieval.search.options import Weights

#: Vectors that are fitted to the collection, in any language.
#: Measured: docs/decisions/0030-search.md.
FITTED: Weights = {"bm25": 0.4, "ngrams": 0.4, "dense": 0.2}
#: A model that knows the language of the collection.
MODEL: Weights = {"bm25": 0.4, "ngrams": 0.25, "dense": 0.35}
#: A model that does not know it: it would pull good passages down.
FOREIGN: Weights = {"bm25": 0.45, "ngrams": 0.5, "dense": 0.05}
#: No vectors at all.
LEXICAL: Weights = {"bm25": 0.5, "ngrams": 0.5, "dense": 0.0}


def default_weights(card: ModelCard | None, languages: Collection[Language]) -> Weights:
    """Return the weights that were measured for a model and the languages of a collection."""
    if card is None:
        return LEXICAL
    if card.name == "lsa":
        return FITTED
    knows = not card.languages or not languages or set(languages) <= set(card.languages)
    return MODEL if knows else FOREIGN

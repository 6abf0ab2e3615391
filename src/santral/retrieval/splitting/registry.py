"""The ways of splitting a document, by the name that a collection chooses."""

from __future__ import annotations

from santral.retrieval.collection import Recipe
from santral.retrieval.document import Chunk, Document
from santral.retrieval.splitting import split as recursive


def split(document: Document, recipe: Recipe) -> list[Chunk]:
    """Return the chunks of a document in reading order."""
    return recursive.split(
        document.blocks, child_tokens=recipe.child_tokens, parent_tokens=recipe.parent_tokens
    )

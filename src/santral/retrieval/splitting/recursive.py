"""Splitting along headings, paragraphs and sentences: chunks that say one thing."""

from __future__ import annotations

from collections.abc import Iterator

from santral.retrieval.collection import Recipe
from santral.retrieval.splitting.cut import Part, packed, pieces
from santral.retrieval.splitting.text import Laid, Section


def recursive_parts(laid: Laid, section: Section, recipe: Recipe) -> Iterator[Part]:
    """Yield parts of about ``child_tokens``: whole blocks where they fit, else whole sentences."""
    yield from packed(laid, pieces(laid, section, recipe.child_tokens), recipe.child_tokens)

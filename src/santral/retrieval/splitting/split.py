"""Splitting along headings by two lengths: for the ingest that knows no recipes."""

from __future__ import annotations

from collections.abc import Sequence

from santral.retrieval.collection import SPLIT_VERSION, Recipe
from santral.retrieval.document import Block, Chunk, Document
from santral.retrieval.splitting.registry import split as split_by


def recipe(child_tokens: int, parent_tokens: int) -> str:
    """Return what names this way of splitting."""
    return f"{SPLIT_VERSION}:{child_tokens}:{parent_tokens}"


def split(blocks: Sequence[Block], *, child_tokens: int, parent_tokens: int) -> list[Chunk]:
    """Return the chunks of a document in reading order."""
    document = Document("", "text", "other", tuple(blocks))
    return split_by(document, Recipe(child_tokens=child_tokens, parent_tokens=parent_tokens))

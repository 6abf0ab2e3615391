"""The ways of splitting a document, by the name that a collection chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from santral.errors import BadRequest, nearest
from santral.retrieval.collection import Recipe
from santral.retrieval.document import Chunk, Document
from santral.retrieval.splitting.cut import Numbering, Part
from santral.retrieval.splitting.recursive import recursive_parts
from santral.retrieval.splitting.semantic import semantic_parts
from santral.retrieval.splitting.text import Laid, Section, Span, lay
from santral.retrieval.splitting.window import window_parts

#: Cuts one section of a document into what becomes its chunks.
Splitting: TypeAlias = Callable[[Laid, Section, Recipe, Document], Iterable[Part]]

SPLITTINGS: dict[str, Splitting] = {
    "recursive": lambda laid, section, recipe, _: recursive_parts(laid, section, recipe),
    "window": lambda laid, section, recipe, _: window_parts(laid, section, recipe),
    "semantic": lambda laid, section, recipe, document: semantic_parts(
        laid, section, recipe, document.language
    ),
    "whole": lambda laid, section, recipe, document: [Part(0, len(laid.text))] if laid.text else [],
}


def split(document: Document, recipe: Recipe) -> list[Chunk]:
    """Return the chunks of a document in reading order; see ``Chunk`` for their places.

    Raises:
        BadRequest: there is no such way of splitting.
    """
    parts_of = SPLITTINGS.get(recipe.chunking)
    if parts_of is None:
        raise BadRequest(
            f"There is no chunking '{recipe.chunking}'. There are {', '.join(SPLITTINGS)}."
            f"{nearest(recipe.chunking, SPLITTINGS)}",
            code="bad_setting",
        )
    laid = lay(document.blocks)
    numbering = Numbering(laid, recipe.parent_tokens, [])
    for section in [_all(laid)] if recipe.chunking == "whole" else laid.sections:
        numbering.add(section, list(parts_of(laid, section, recipe, document)))
    return numbering.chunks


def _all(laid: Laid) -> Section:
    """Return a document as one section, under what all of its headings have above them."""
    paths = [section.path for section in laid.sections]
    shared = paths[0] if len(paths) == 1 else ()
    return Section(shared, (Span(0, len(laid.text), "paragraph"),))

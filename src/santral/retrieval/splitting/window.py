"""Splitting by a sliding window: neighbours share sentences, so none stands at an edge only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from santral.retrieval.collection import Recipe
from santral.retrieval.splitting.cut import Part, pieces, units
from santral.retrieval.splitting.text import Laid, Section, fits


def window_parts(laid: Laid, section: Section, recipe: Recipe) -> Iterator[Part]:
    """Yield windows of about ``child_tokens`` that begin and end with sentences.

    Each begins at most ``overlap_tokens`` before the end of the one in front of it.
    """
    found = list(_sentences(laid, section, recipe.child_tokens))
    first = 0
    while first < len(found):
        end = _filled(laid, found, first, recipe.child_tokens)
        yield Part(found[first].start, found[end - 1].end, found[first].header)
        if end == len(found):
            return
        first = _stepped_back(laid, found, first, end, recipe.overlap_tokens)


def _sentences(laid: Laid, section: Section, limit: int) -> Iterator[Part]:
    """Yield the sentences of a section; tables and code are in it as for every way of splitting."""
    for span in section.spans:
        if span.kind in ("code", "table"):
            yield from pieces(laid, Section(section.path, (span,)), limit)
        else:
            yield from units(laid, span, limit)


def _filled(laid: Laid, found: Sequence[Part], first: int, limit: int) -> int:
    """Return behind which sentence a window ends that begins with ``first``."""
    if found[first].header is not None:
        return first + 1
    end = first + 1
    size = laid.size(found[first].start, found[first].end)
    while end < len(found) and found[end].header is None:
        size += laid.size(found[end - 1].end, found[end].end)
        if not fits(size, limit):
            break
        end += 1
    return end


def _stepped_back(laid: Laid, found: Sequence[Part], first: int, end: int, overlap: int) -> int:
    """Return with which sentence the next window begins."""
    begin = end
    while begin - 1 > first and found[begin - 1].header is None and found[end].header is None:
        if not fits(laid.size(found[begin - 1].start, found[end - 1].end), overlap):
            break
        begin -= 1
    return begin

"""Splitting where the subject changes: no model, only which words and letters neighbours share.

Source: Hearst, TextTiling (Computational Linguistics 23, 1997): the deepest valleys of similarity
between the sentences before and behind a place are where a text turns to something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.collection import Recipe
from santral.retrieval.splitting.cut import Part, pieces, units
from santral.retrieval.splitting.text import Laid, Section, fits

#: Sentences on either side that are compared. Source: Hearst, 2 to 6.
_SIDE = 3
#: Terms are hashed into so many places. Chosen: collisions are rare among the words of a page.
_PLACES = 1024
#: Sentences whose terms are in memory at once, 4 kB each.
_TOGETHER = 2_000
#: A chunk is at least this share of its length, whatever the subject does. Chosen.
_LEAST = 0.3


def semantic_parts(
    laid: Laid, section: Section, recipe: Recipe, language: Language
) -> Iterator[Part]:
    """Yield parts of up to ``child_tokens`` that end where the subject changes."""
    found = list(_sentences(laid, section, recipe.child_tokens))
    for start in range(0, len(found), _TOGETHER):
        block = found[start : start + _TOGETHER]
        depths = _depths(laid, block, language)
        yield from _joined(laid, block, depths, recipe.child_tokens)


def _sentences(laid: Laid, section: Section, limit: int) -> Iterator[Part]:
    for span in section.spans:
        if span.kind in ("code", "table"):
            yield from pieces(laid, Section(section.path, (span,)), limit)
        else:
            yield from units(laid, span, limit)


def _depths(laid: Laid, found: Sequence[Part], language: Language) -> NDArray[np.float32]:
    """Return how deep the valley behind each sentence is: float32 [sentences]."""
    sums = np.cumsum(_counts(laid, found, language), axis=0)
    sums = np.concatenate([np.zeros((1, _PLACES), np.float32), sums])
    size = len(found)
    here = np.arange(1, size)
    before = sums[here] - sums[np.maximum(here - _SIDE, 0)]
    behind = sums[np.minimum(here + _SIDE, size)] - sums[here]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
    alike = np.einsum("ij,ij->i", before, behind) / np.maximum(norms, 1e-9)
    return np.append(_valleys(alike), 0).astype(np.float32)


def _valleys(alike: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how far similarity rises on both sides of each place, up to the next peak."""
    depths = np.zeros(len(alike))
    for values, target in ((alike, depths), (alike[::-1], depths[::-1])):
        peak = 0.0
        for place, value in enumerate(values):
            peak = max(value, peak if place and values[place - 1] >= value else 0.0)
            target[place] += peak - value
    return depths


def _counts(laid: Laid, found: Sequence[Part], language: Language) -> NDArray[np.float32]:
    """Return the damped counts of stems and 4-grams of each sentence: float32 [sentences, places]."""
    texts = [laid.text[part.start : part.end] for part in found]
    languages: list[Language] = [language] * len(texts)
    counted = np.zeros((len(found), _PLACES), np.float32)
    for terms in terms_of(texts, languages):
        rows = np.repeat(np.arange(len(texts)), np.diff(terms.starts))
        np.add.at(counted, (rows, terms.keys % _PLACES), terms.counts.astype(np.float32))
    # Common places say little: weigh by how few sentences have them.
    spread = np.count_nonzero(counted, axis=0)
    return np.log1p(counted) * np.log1p(len(found) / np.maximum(spread, 1)).astype(np.float32)


def _joined(
    laid: Laid, found: Sequence[Part], depths: NDArray[np.float32], limit: int
) -> Iterator[Part]:
    """Yield neighbours joined up to the limit; each part ends at the deepest valley it may end at."""
    deep = float(depths.mean() + depths.std() / 2)
    first = 0
    while first < len(found):
        end = _reach(laid, found, first, limit)
        least = _reach(laid, found, first, int(limit * _LEAST))
        ends = np.arange(max(least, first + 1), end + 1)
        if end < len(found) or (len(ends) > 1 and depths[ends - 1][:-1].max() > deep):
            chosen = [at for at in ends if depths[at - 1] > deep][:1]
            end = int(chosen[0]) if chosen else int(ends[np.argmax(depths[ends - 1])])
        yield Part(found[first].start, found[end - 1].end, found[first].header)
        first = end


def _reach(laid: Laid, found: Sequence[Part], first: int, limit: int) -> int:
    """Return behind which sentence a part ends at the latest that begins with ``first``."""
    end = first + 1
    if found[first].header is not None:
        return end
    size = laid.size(found[first].start, found[first].end)
    while end < len(found) and found[end].header is None:
        size += laid.size(found[end - 1].end, found[end].end)
        if not fits(size, limit):
            break
        end += 1
    return end

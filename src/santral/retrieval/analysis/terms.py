"""Terms of many texts at once: what an index holds of them, counted, as keys of 32 bits.

Stems through a table of words that were met before, 4-grams as plain arithmetic over letters:
10,000 chunks in a second of CPU, and the same terms as the lists of ``analyse.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.analyse import GRAM, query_terms, stem, words
from santral.retrieval.analysis.counts import TermKeys, Terms
from santral.retrieval.analysis.language import Language

#: Texts that are counted together. Chosen: their letters stay in the processor's cache.
_TOGETHER = 256
#: Words kept per language before the table begins anew: chosen, some 30 MB.
_MAX_WORDS = 200_000
#: A word that is no term.
_NO_TERM = -1
#: Letters of ASCII take 7 bits, so four of them are exact below this bound; others are hashed above.
_ASCII_GRAMS = np.uint64(1 << 28)
_HASHED_GRAMS = np.uint64((1 << 32) - (1 << 28))


def terms_of(texts: Sequence[str], languages: Sequence[Language]) -> tuple[Terms, Terms]:
    """Return the stems and the 4-grams of some texts, each in its language.

    Same for the same text in every process and release; ``stem_keys`` and ``gram_keys`` make the keys
    of a question. Pass what ``indexed_text`` gives, some thousand texts at a time.
    """
    stems: list[Terms] = []
    grams: list[Terms] = []
    for start in range(0, len(texts), _TOGETHER):
        found = [words(text) for text in texts[start : start + _TOGETHER]]
        stems.append(_stems(found, languages[start : start + _TOGETHER]))
        grams.append(_grams(found))
    return join_terms(stems), join_terms(grams)


def stem_keys(text: str, languages: Collection[Language]) -> TermKeys:
    """Return the keys of a question's stems in every language of a collection, each once."""
    keys = {crc32(term.encode()) for term in query_terms(text, languages)}
    return np.array(sorted(keys), np.uint32)


def gram_keys(text: str) -> TermKeys:
    """Return the keys of a question's 4-grams, each once."""
    return _grams([words(text)]).keys


def join_terms(parts: Sequence[Terms]) -> Terms:
    """Return the terms of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    sizes = [np.diff(part.starts) for part in parts]
    return Terms(
        keys=np.concatenate([np.zeros(0, np.uint32), *(part.keys for part in parts)]),
        counts=np.concatenate([np.zeros(0, np.uint16), *(part.counts for part in parts)]),
        starts=np.concatenate([np.zeros(1, np.int64), *sizes]).cumsum(),
        lengths=np.concatenate([np.zeros(0, np.int32), *(part.lengths for part in parts)]),
    )


def some_terms(terms: Terms, first: int, end: int) -> Terms:
    """Return the terms of the chunks from ``first`` up to ``end``."""
    span = slice(terms.starts[first], terms.starts[end])
    starts = terms.starts[first : end + 1] - terms.starts[first]
    return Terms(terms.keys[span], terms.counts[span], starts, terms.lengths[first:end])


def _stems(texts: Sequence[Sequence[str]], languages: Sequence[Language]) -> Terms:
    tables = [_tables[language].ready() for language in languages]
    keys = np.fromiter(
        chain.from_iterable(
            map(table.__getitem__, text) for table, text in zip(tables, texts, strict=True)
        ),
        np.int64,
    )
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    kept = keys != _NO_TERM
    return _counted(rows[kept], keys[kept].astype(np.uint64), len(texts))


def _grams(texts: Sequence[Sequence[str]]) -> Terms:
    """Count the 4-grams of texts: across words with one space between, before and behind them."""
    lines = [f" {' '.join(text)} " if text else "" for text in texts]
    sizes = np.array([len(line) for line in lines], np.int64)
    letters = _letters("".join(lines))
    grams = _packed(letters) if letters.dtype == np.uint8 else _hashed(letters)
    # A text of fewer letters than a gram is one gram, what follows it cut away: " a ".
    numbers = np.where(sizes > 0, np.maximum(sizes - GRAM + 1, 1), 0)
    begins = sizes.cumsum() - sizes
    rows = np.repeat(np.arange(len(texts)), numbers)
    places = np.arange(len(rows)) - np.repeat(numbers.cumsum() - numbers, numbers) + begins[rows]
    keys = grams[places]
    for row in np.flatnonzero((sizes > 0) & (sizes < GRAM)):
        keys[rows == row] = _one_gram(lines[row])
    return _counted(rows, keys, len(texts))


def _letters(text: str) -> NDArray[np.uint8] | NDArray[np.uint32]:
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _one_gram(text: str) -> np.uint64:
    letters = _letters(text.ljust(GRAM, "\0"))
    return (_packed(letters) if letters.dtype == np.uint8 else _hashed(letters))[0]


def _packed(letters: NDArray[np.uint8] | NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Return the gram that begins at each letter, seven bits a letter."""
    padded = np.concatenate([letters, np.zeros(GRAM - 1, letters.dtype)]).astype(np.uint64)
    end = len(letters)
    grams = padded[:end] << np.uint64(21)
    grams |= padded[1 : end + 1] << np.uint64(14)
    grams |= padded[2 : end + 2] << np.uint64(7)
    grams |= padded[3:]
    return grams


def _hashed(letters: NDArray[np.uint32] | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return exact keys of grams of ASCII, and a hash in the rest of 32 bits for the others."""
    padded = np.concatenate([letters, np.zeros(GRAM - 1, letters.dtype)]).astype(np.uint64)
    end = len(letters)
    hashes = np.zeros(end, np.uint64)
    widest = padded[:end].copy()
    for place in range(GRAM):
        letter = padded[place : place + end]
        # Multiplier of splitmix64 (Steele, Lea and Flood, 2014): every bit of a letter reaches all.
        hashes = (hashes ^ letter) * np.uint64(0xBF58476D1CE4E5B9)
        hashes ^= hashes >> np.uint64(31)
        np.maximum(widest, letter, out=widest)
    return np.where(widest < 128, _packed(letters), _ASCII_GRAMS + hashes % _HASHED_GRAMS)


def _counted(rows: NDArray[np.int64], keys: NDArray[np.uint64], size: int) -> Terms:
    """Count equal keys of a row; rows are ascending."""
    both = np.sort((rows.astype(np.uint64) << np.uint64(32)) | keys)
    begins = np.flatnonzero(np.concatenate([[True], both[1:] != both[:-1]])[: len(both)])
    counts = np.diff(begins, append=len(both))
    distinct = both[begins]
    starts = np.searchsorted(distinct, np.arange(size + 1, dtype=np.uint64) << np.uint64(32))
    return Terms(
        keys=distinct.astype(np.uint32),
        counts=np.minimum(counts, np.iinfo(np.uint16).max).astype(np.uint16),
        starts=starts.astype(np.int64),
        lengths=np.bincount(rows, minlength=size).astype(np.int32),
    )


class _Table(dict[str, int]):
    """Words of one language that were met, with the key of their stem."""

    def __init__(self, language: Language) -> None:
        super().__init__()
        self.language: Language = language

    def __missing__(self, word: str) -> int:
        found = stem(word, self.language)
        key = _NO_TERM if found is None else crc32(found.encode())
        self[word] = key
        return key

    def ready(self) -> _Table:
        """Return the table, emptied if it grew beyond its bound."""
        if len(self) > _MAX_WORDS:
            self.clear()
        return self


_tables: dict[Language, _Table] = {
    "tr": _Table("tr"),
    "en": _Table("en"),
    "other": _Table("other"),
}

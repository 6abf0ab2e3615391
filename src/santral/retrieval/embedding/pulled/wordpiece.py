"""WordPiece: how BERT and its descendants take a text apart, without a tokenizer library.

Source: Devlin et al., BERT, 2018, and the tokenizer that came with it (uncased: accents are stripped).
``tests/retrieval/embedding`` compares it with the tokenizers library.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from santral.errors import StoreError

#: Letters of a word beyond which it is unknown. Specified.
_MAX_WORD = 100
#: Words kept with their pieces. Chosen: some 20 MB.
_MAX_KNOWN = 100_000

_NO_CONTROLS = {code: None for code in (*range(32), 127) if chr(code) not in "\t\n\r"}
_REQUIRED = ("[CLS]", "[SEP]", "[UNK]")


class WordPiece:
    """Turns texts into the numbers of a vocabulary; ``is_lower`` for uncased models."""

    def __init__(self, vocabulary: Mapping[str, int], *, is_lower: bool = True) -> None:
        """Take a vocabulary; raises StoreError where it is none of WordPiece."""
        missing = [token for token in _REQUIRED if token not in vocabulary]
        if missing:
            raise StoreError(
                f"The vocabulary lacks {', '.join(missing)}: it is none of WordPiece.",
                code="model_unusable",
            )
        self._pieces = dict(vocabulary)
        self._is_lower = is_lower
        self._first, self._last, self._unknown = (vocabulary[token] for token in _REQUIRED)
        self._known: dict[str, Sequence[int]] = {}

    def encode(self, text: str, most: int) -> list[int]:
        """Return the tokens of a text between [CLS] and [SEP], ``most`` at the most."""
        return [self._first, *self._tokens(text, most - 2), self._last]

    def encode_pair(self, first: str, second: str, most: int) -> tuple[list[int], list[int]]:
        """Return tokens and types of two texts, the second cut where both are over ``most``."""
        head = self.encode(first, most // 2)
        tail = [*self._tokens(second, most - len(head) - 1), self._last]
        return [*head, *tail], [0] * len(head) + [1] * len(tail)

    def _tokens(self, text: str, most: int) -> list[int]:
        found: list[int] = []
        for word in self._words(text):
            found.extend(self._known.get(word) or self._learn(word))
            if len(found) >= most:
                return found[:most]
        return found

    def _words(self, text: str) -> Iterable[str]:
        """Yield words and marks of the cleaned text; every ideograph is a word."""
        if text.isascii():
            cleaned = text.translate(_NO_CONTROLS)
            cleaned = cleaned.lower() if self._is_lower else cleaned
        else:
            cleaned = "".join(map(_cleaned, text))
            if self._is_lower:
                apart = unicodedata.normalize("NFD", cleaned)
                cleaned = "".join(c for c in apart if unicodedata.category(c) != "Mn").lower()
        for run in cleaned.split():
            yield from _apart(run)

    def _learn(self, word: str) -> Sequence[int]:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        pieces = self._known[word] = self._cut(word)
        return pieces

    def _cut(self, word: str) -> Sequence[int]:
        """Return the longest pieces from left to right; a word with a part that is none is unknown."""
        if len(word) > _MAX_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            end = len(word)
            while (piece := self._piece(word, start, end)) is None:
                end -= 1
                if end == start:
                    return [self._unknown]
            found.append(piece)
            start = end
        return found

    def _piece(self, word: str, start: int, end: int) -> int | None:
        return self._pieces.get(word[start:end] if start == 0 else f"##{word[start:end]}")


def read_vocabulary(content: str) -> dict[str, int]:
    """Return the vocabulary of a ``vocab.txt``: a token a line, numbered from 0."""
    return {token: number for number, token in enumerate(content.removesuffix("\n").split("\n"))}


def _cleaned(letter: str) -> str:
    """Return a letter as it is read: no control characters, one kind of space, ideographs apart."""
    if letter in "\t\n\r":
        return " "
    category = unicodedata.category(letter)
    if category in ("Cc", "Cf", "Co", "Cs") or letter == "\ufffd":
        return ""
    if category == "Zs":
        return " "
    return f" {letter} " if _is_ideograph(ord(letter)) else letter


#: Source: the same list in every BERT tokenizer; Hiragana, Katakana and Hangul are no ideographs.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def _is_ideograph(code: int) -> bool:
    return any(first <= code <= last for first, last in _IDEOGRAPHS)


def _apart(run: str) -> Iterable[str]:
    """Yield the words of a run without spaces; every punctuation mark is one of its own."""
    begin = 0
    for place, letter in enumerate(run):
        if _is_punctuation(letter):
            if place > begin:
                yield run[begin:place]
            yield letter
            begin = place + 1
    if begin < len(run):
        yield run[begin:]


def _is_punctuation(letter: str) -> bool:
    if letter.isascii():
        return letter.isprintable() and not letter.isalnum() and letter != " "
    return unicodedata.category(letter).startswith("P")

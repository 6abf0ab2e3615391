"""ROUGE: words, pairs of words and the longest common order that an answer shares with a good one.

F1 of each, the best of all good answers. With ``tokenizer = "english"`` equal to rouge-score 0.1.2.
Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004, sections 2, 3.1 and 3.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.casing import Tongue, tongue_of
from santral.evals.evaluators.words import Tokenize, Tokenizer, tokenizer_of
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools

Rouges: TypeAlias = Literal["1", "2", "l", "lsum"]


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``kinds``: which of them. ``stem``: count words by their stems (Porter's in English, the first
    five letters in Turkish)."""

    kinds: tuple[Rouges, ...] = ("1", "2", "l")
    tokenizer: Tokenizer = "auto"
    stem: bool = True
    language: Tongue = "auto"


class Rouge:
    """Words that an answer shares with a good one, in runs of 1 and 2 and in order: F1 of each."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected` or `references`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._params = params
        self._names: dict[Rouges, str] = {kind: f"{name}_{kind}" for kind in params.kinds}
        self.measures = tuple(Measure(name=one) for one in self._names.values())
        self.version = versioned("rouge", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        good = case.example.good_answers
        if not good:
            return not_applicable(list(self._names.values()), "the example names no good answer")
        language = tongue_of(self._params.language, case, good[0])
        tokenize = tokenizer_of(self._params.tokenizer, language, self._params.stem, good[0])
        return [
            Score(
                name=name, value=max(rouge(kind, one, case.answer.text, tokenize) for one in good)
            )
            for kind, name in self._names.items()
        ]


def rouge(kind: Rouges, target: str, prediction: str, tokenize: Tokenize) -> float:
    """Return one ROUGE of a prediction, from 0 to 1. Sentences of ``lsum`` stand on lines."""
    if kind == "lsum":
        return _summary(
            [tokenize(line) for line in target.split("\n") if line],
            [tokenize(line) for line in prediction.split("\n") if line],
        )
    wanted, given = tokenize(target), tokenize(prediction)
    if kind == "l":
        return _f1(longest_common(wanted, given), len(wanted), len(given))
    return _of_runs(int(kind), wanted, given)


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, in len(a) operations on len(b) bits.

    Source: Hyyrö, Bit-parallel LCS-length computation revisited, 2004.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(b):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(b)) - 1
    row = everything
    for word in a:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & everything
    return len(b) - row.bit_count()


def _of_runs(size: int, wanted: Sequence[str], given: Sequence[str]) -> float:
    one, other = _runs(wanted, size), _runs(given, size)
    shared = sum(min(count, other[run]) for run, count in one.items() if run in other)
    return _f1(shared, one.total(), other.total())


def _runs(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))


def _f1(shared: int, wanted: int, given: int) -> float:
    precision, recall = shared / max(given, 1), shared / max(wanted, 1)
    return 2 * precision * recall / (precision + recall) if shared else 0.0


def _summary(wanted: list[list[str]], given: list[list[str]]) -> float:
    """Return the F1 of the union, over sentences, of what is common; no word counts twice."""
    left_wanted = Counter(word for sentence in wanted for word in sentence)
    left_given = Counter(word for sentence in given for word in sentence)
    sizes = left_wanted.total(), left_given.total()
    hits = 0
    for sentence in wanted:
        union = set[int]().union(*(_common_places(sentence, one) for one in given))
        for place in sorted(union):
            word = sentence[place]
            if left_given[word] > 0 and left_wanted[word] > 0:
                hits += 1
                left_given[word] -= 1
                left_wanted[word] -= 1
    return _f1(hits, *sizes)


def _common_places(wanted: Sequence[str], given: Sequence[str]) -> list[int]:
    """Return the places in ``wanted`` of one longest common subsequence: the one rouge-score takes."""
    table = _table(wanted, given)
    places: list[int] = []
    i, j = len(wanted), len(given)
    while i and j:
        if wanted[i - 1] == given[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def _table(wanted: Sequence[str], given: Sequence[str]) -> list[list[int]]:
    rows = [[0] * (len(given) + 1)]
    for word in wanted:
        above, row = rows[-1], [0]
        for j, other in enumerate(given):
            row.append(above[j] + 1 if word == other else max(above[j + 1], row[j]))
        rows.append(row)
    return rows

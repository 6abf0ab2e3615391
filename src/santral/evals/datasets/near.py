"""Near-duplicates and leakage: which examples ask nearly the same, and what was known beforehand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.evals.example import Example
from santral.retrieval.analysis.language import fold
from santral.retrieval.ingest.sketch import Sketches, bands_of, similarity, sketch_of_letters

#: Share of equal places from which two questions are nearly the same. Measured: of pairs above it
#: that people compared, 88 % of the Turkish and 63 % of the English ones had been called equal in
#: meaning (4 of 5 or more); below, different questions in one pattern come in.
ALIKE = 0.7
#: Places of one band: two that are alike at 0.7 share one of the 32 bands with a chance of 0.9998.
_BAND = 4
#: Examples of one band that a later one is compared with. Chosen: in a thousand copies of one question
#: each finds one of the first.
_MOST_OF_BAND = 64
#: Letters of an answer that is looked for in prompts. Chosen: shorter ones stand anywhere.
LEAST_ANSWER = 12

_WORD = re.compile(r"[^\W_]+")


class Pair(Struct, frozen=True):
    """An example that is nearly another one, the most alike of those before it by id."""

    example: str
    original: str
    similarity: float


class Leak(Struct, frozen=True):
    """Two examples that are nearly the same, in two splits."""

    one: str
    other: str
    splits: tuple[str, str]
    similarity: float


class Exposed(Struct, frozen=True):
    """What a prompt tells beforehand of an example."""

    example: str
    prompt: str
    what: str  # input, expected


class Likeness(Struct, frozen=True):
    """What was found: pairs, and for every example of one the group that it is in."""

    pairs: list[Pair]
    groups: dict[str, str]  # example to the first of its group, by id

    def group_of(self, example_id: str) -> str:
        """Return what names the group of an example: itself, where nothing is like it."""
        return self.groups.get(example_id, example_id)


def find_alike(examples: Sequence[Example], alike: float = ALIKE) -> Likeness:
    """Return the near-duplicates by what is asked: the input, and variables of a prompt.

    Each is compared with those before it that share a band, never with all.
    """
    known = _sketched(examples)
    if len(known) < 2:
        return Likeness([], {})
    sketches = np.stack([sketch for _, sketch in known])
    bands = bands_of(sketches, _BAND)
    before: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    pairs: list[Pair] = []
    parents: dict[int, int] = {}
    for place in _with_company(bands):
        keys = [(number, int(band)) for number, band in enumerate(bands[place])]
        near = sorted({other for key in keys for other in before.get(key, ())})
        matches = _matches(sketches, place, near, alike)
        if matches:
            best, value = max(matches, key=lambda match: match[1])
            pairs.append(Pair(known[place][0], known[best][0], round(value, 3)))
        for other, _ in matches:
            _join(parents, place, other)
        for key in keys:
            if len(before[key]) < _MOST_OF_BAND:
                before[key].append(place)
    groups = {known[place][0]: known[_first(parents, place)][0] for place in parents}
    return Likeness(pairs, groups)


def find_leaks(examples: Sequence[Example], found: Likeness) -> list[Leak]:
    """Return near-duplicates that lie in different splits: a test that was trained on."""
    splits = {one.id: one.split for one in examples}
    similar = {pair.example: pair.similarity for pair in found.pairs}
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for example, group in sorted(found.groups.items()):
        groups[group].append(example)
    leaks: list[Leak] = []
    for members in groups.values():
        first: dict[str, str] = {}  # of each split
        for example in members:
            split = splits[example]
            if not split:
                continue
            leaks += [
                Leak(other, example, (elsewhere, split), similar.get(example, 1.0))
                for elsewhere, other in first.items()
                if elsewhere != split
            ]
            first.setdefault(split, example)
    return leaks


def find_exposed(examples: Sequence[Example], prompts: Mapping[str, str]) -> list[Exposed]:
    """Return examples that a prompt's own words give away: what is asked, or what is expected.

    ``prompts`` are texts by name, few-shot examples with them.
    """
    plain = {name: _plain(text) for name, text in prompts.items()}
    found: list[Exposed] = []
    for one in examples:
        asked, answers = _plain(one.question), [_plain(text) for text in one.good_answers]
        for name, text in plain.items():
            if len(asked) >= LEAST_ANSWER and asked in text:
                found.append(Exposed(one.id, name, "input"))
            if any(len(answer) >= LEAST_ANSWER and answer in text for answer in answers):
                found.append(Exposed(one.id, name, "expected"))
    return found


def said_in(example: Example) -> str:
    """Return everything that is asked in one text: the input, and variables of a prompt."""
    if isinstance(example.input, str):
        parts = [example.input]
    else:
        parts = [str(message.get("content") or "") for message in example.input]
    return "\n".join([*parts, *(str(value) for value in example.variables.values())])


def _sketched(examples: Sequence[Example]) -> list[tuple[str, Sketches]]:
    ordered = sorted(examples, key=lambda one: one.id)
    made = ((one.id, sketch_of_letters(said_in(one))) for one in ordered)
    return [(id_, sketch) for id_, sketch in made if sketch is not None]


def _with_company(bands: NDArray[np.uint64]) -> list[int]:
    """Return the examples that share a band with another one, in order."""
    shares = np.zeros(len(bands), bool)
    for band in bands.T:
        _, places, counts = np.unique(band, return_inverse=True, return_counts=True)
        shares |= counts[places] > 1
    return [int(place) for place in np.flatnonzero(shares)]


def _matches(
    sketches: Sketches, place: int, near: Sequence[int], alike: float
) -> list[tuple[int, float]]:
    if not near:
        return []
    values = similarity(sketches[place], sketches[list(near)])
    return [(near[n], float(values[n])) for n in map(int, np.flatnonzero(values >= alike))]


def _first(parents: dict[int, int], place: int) -> int:
    while parents.setdefault(place, place) != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _join(parents: dict[int, int], one: int, other: int) -> None:
    low, high = sorted((_first(parents, one), _first(parents, other)))
    parents[high] = low


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(fold(text)))

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
#: Letters of an answer that is looked for in prompts. Chosen: shorter ones stand anywhere.
LEAST_ANSWER = 12

_WORD = re.compile(r"[^\W_]+")


class Pair(Struct, frozen=True):
    """An example that is nearly another one, which comes before it by id."""

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
    """Return the near-duplicates by what is asked: of the last words of a user, and all of the input.

    Each is compared with the first one of every group that it shares a band with, never with all.
    """
    known = _sketched(examples)
    if len(known) < 2:
        return Likeness([], {})
    sketches = np.stack([sketch for _, sketch in known])
    bands = bands_of(sketches, _BAND)
    originals: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    pairs: list[Pair] = []
    for place in _with_company(bands):
        keys = [(number, int(band)) for number, band in enumerate(bands[place])]
        near = sorted({other for key in keys for other in originals.get(key, ())})
        best = _most_alike(sketches, place, near, alike)
        if best is None:
            for key in keys:
                originals[key].append(place)
            continue
        pairs.append(Pair(known[place][0], known[best[0]][0], round(best[1], 3)))
    groups = {pair.example: pair.original for pair in pairs}
    return Likeness(pairs, {**groups, **{original: original for original in groups.values()}})


def find_leaks(examples: Sequence[Example], found: Likeness) -> list[Leak]:
    """Return near-duplicates that lie in different splits: a test that was trained on."""
    splits = {one.id: one.split for one in examples}
    members: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    for pair in found.pairs:
        members[pair.original].append((pair.example, pair.similarity))
    leaks: list[Leak] = []
    for original, others in members.items():
        seen = {splits[original]: original}
        for example, similar in others:
            split = splits[example]
            for elsewhere, other in seen.items():
                if elsewhere != split and elsewhere and split:
                    leaks.append(Leak(other, example, (elsewhere, split), similar))
            seen.setdefault(split, example)
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


def _most_alike(
    sketches: Sketches, place: int, near: Sequence[int], alike: float
) -> tuple[int, float] | None:
    if not near:
        return None
    values = similarity(sketches[place], sketches[list(near)])
    best = int(values.argmax())
    return (near[best], float(values[best])) if values[best] >= alike else None


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(fold(text)))

"""Labelling functions: many rough rules, each right more often than not, make one label.

Source: Ratner et al., Snorkel: Rapid Training Data Creation with Weak Supervision, 2017. Accuracies
are estimated without labels of people by expectation and maximisation over one accuracy for each
function: Dawid and Skene, Maximum Likelihood Estimation of Observer Error-Rates, 1979.
"""

from __future__ import annotations

import importlib.util
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast

from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.example import Example

#: Returns a label, or None where it has nothing to say.
LabelFunction: TypeAlias = Callable[[Example], str | None]

#: Rounds of the estimate, and the change at which it stops. Chosen.
_ROUNDS, _STILL = 100, 1e-6
#: What an accuracy begins with, and between what it stays: a rule is never sure, nor worse than chance.
_FIRST, _LEAST, _MOST = 0.7, 0.501, 0.99


class FunctionReport(Struct, frozen=True, kw_only=True):
    """What one function did."""

    name: str
    coverage: float  # share of examples that it labels
    overlaps: float  # share that it labels and another one does, too
    conflicts: float  # share where another one says something else
    accuracy: float  # estimated from agreement with the others
    failed: int  # examples on which it raised
    labels: dict[str, int]


class Combined(Struct, frozen=True):
    """The label of one example, and how sure the functions make it."""

    example: str
    label: str | None
    majority: str | None  # None: nobody said anything, or a tie
    confidence: float


class Labelled(Struct, frozen=True):
    """What functions did, how often pairs of them agree where both speak, and what comes of it."""

    functions: list[FunctionReport]
    agreement: dict[str, float]
    labels: list[Combined]


def load_functions(given: Sequence[str]) -> dict[str, LabelFunction]:
    """Return functions by name from ``file.py:function``; the file runs as the caller.

    Raises:
        BadRequest: there is no such file or function, or the file does not run.
    """
    found: dict[str, LabelFunction] = {}
    for text in given:
        file, sign, name = text.rpartition(":")
        if not sign or not Path(file).is_file():
            raise BadRequest(f"'{text}' names no function. Write FILE.py:FUNCTION.")
        found[name] = _function(Path(file), name)
    return found


def label_examples(examples: Sequence[Example], functions: Mapping[str, LabelFunction]) -> Labelled:
    """Ask every function about every example, and combine what they say.

    The label is that of a vote weighted by estimated accuracies; the majority stands beside it.
    """
    failed: Counter[str] = Counter()
    votes = [_votes(one, functions, failed) for one in examples]
    names = sorted({label for said in votes for label in said.values()})
    accuracies = _accuracies(votes, list(functions), len(names))
    labels = [
        _combined(one.id, said, accuracies, names)
        for one, said in zip(examples, votes, strict=True)
    ]
    reports = [_report(name, votes, accuracies[name], failed[name]) for name in functions]
    return Labelled(reports, _agreement(votes, list(functions)), labels)


def _function(path: Path, name: str) -> LabelFunction:
    spec = importlib.util.spec_from_file_location(f"labels_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadRequest(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file is somebody else's code: whatever it raises is its fault
        raise BadRequest(f"{path} does not run: {error!r}") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise BadRequest(f"{path} has no function '{name}'.")
    return cast("LabelFunction", found)


def _votes(
    example: Example, functions: Mapping[str, LabelFunction], failed: Counter[str]
) -> dict[str, str]:
    said: dict[str, str] = {}
    for name, function in functions.items():
        try:
            label = function(example)
        except Exception:  # noqa: BLE001 - somebody else's code; what it raises is counted
            failed[name] += 1
            continue
        if label is not None:
            said[name] = str(label)
    return said


def _accuracies(
    votes: Sequence[Mapping[str, str]], functions: Sequence[str], labels: int
) -> dict[str, float]:
    known = dict.fromkeys(functions, _FIRST)
    names = sorted({label for said in votes for label in said.values()})
    for _ in range(_ROUNDS):
        right: defaultdict[str, float] = defaultdict(float)
        spoke: Counter[str] = Counter()
        for said in votes:
            if len(said) < 2:  # alone it agrees with itself, and says nothing of how good it is
                continue
            chances = _chances(said, known, names)
            for name, label in said.items():
                right[name] += chances[label]
                spoke[name] += 1
        fresh = {
            name: min(_MOST, max(_LEAST, right[name] / spoke[name])) if spoke[name] else _FIRST
            for name in functions
        }
        still = max((abs(fresh[n] - known[n]) for n in functions), default=0.0) < _STILL
        known = fresh
        if still or labels < 2:
            break
    return known


def _chances(
    said: Mapping[str, str], accuracies: Mapping[str, float], names: Sequence[str]
) -> dict[str, float]:
    """Return how likely each label is; a function that errs says any other label alike."""
    others = max(1, len(names) - 1)
    logs = {
        label: sum(
            math.log(accuracies[n] if told == label else (1 - accuracies[n]) / others)
            for n, told in said.items()
        )
        for label in names
    }
    top = max(logs.values())
    weights = {label: math.exp(value - top) for label, value in logs.items()}
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()}


def _combined(
    example_id: str,
    said: Mapping[str, str],
    accuracies: Mapping[str, float],
    names: Sequence[str],
) -> Combined:
    if not said:
        return Combined(example_id, None, None, 0.0)
    chances = _chances(said, accuracies, names)
    label = max(chances, key=lambda name: chances[name])
    counts = Counter(said.values()).most_common(2)
    is_tied = len(counts) == 2 and counts[0][1] == counts[1][1]
    return Combined(example_id, label, None if is_tied else counts[0][0], round(chances[label], 4))


def _report(
    name: str, votes: Sequence[Mapping[str, str]], accuracy: float, failed: int
) -> FunctionReport:
    total = max(1, len(votes))
    spoken = [said for said in votes if name in said]
    conflicts = sum(any(label != said[name] for label in said.values()) for said in spoken)
    return FunctionReport(
        name=name,
        coverage=round(len(spoken) / total, 4),
        overlaps=round(sum(len(said) > 1 for said in spoken) / total, 4),
        conflicts=round(conflicts / total, 4),
        accuracy=round(accuracy, 4),
        failed=failed,
        labels=dict(Counter(said[name] for said in spoken).most_common()),
    )


def _agreement(votes: Sequence[Mapping[str, str]], functions: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for number, one in enumerate(functions):
        for other in functions[number + 1 :]:
            both = [said for said in votes if one in said and other in said]
            if both:
                same = sum(said[one] == said[other] for said in both)
                found[f"{one}, {other}"] = round(same / len(both), 4)
    return found

"""Trains the classifier of complexity: labelled texts in, a small file of weights out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.config.toml import toml_key, toml_value
from santral.errors import BadRequest
from santral.routing.complexity import Classifier
from santral.routing.complexity_features import NAMES, PLAIN, features

#: Strength of the pull of weights towards zero, per example. Chosen: with some hundreds of examples
#: it keeps a word that came twice from deciding.
RIDGE = 0.01
#: Steps of Newton's method at most; it settles within ten.
_STEPS = 50
#: Least number of examples of each label that can be learnt from. Chosen.
MIN_EXAMPLES = 20
#: Share of the hard requests that the shipped thresholds may leave to the easiest tier. Chosen: a
#: hard question answered weakly costs a user more than an easy one answered well costs an operator.
_MISSED = 0.1

Floats = NDArray[np.float64]


class Example(Struct, frozen=True):
    """A question and whether it is hard: 0 or 1, or a share between them for a middle tier."""

    text: str
    label: float


class Scores(Struct, frozen=True, kw_only=True):
    """How well a classifier does on examples it has not seen."""

    examples: int
    hard: int
    accuracy: float  # at its threshold of two tiers
    recall_hard: float
    recall_easy: float
    auc: float
    brier: float  # mean squared error of the score: 0.25 is a coin
    calibration_error: float  # mean distance between score and share of hard, over ten bins


class _Line(Struct):
    text: str
    label: float | str | None = None
    tier: float | str | None = None


def read_examples(path: Path, tiers: Sequence[str] = ()) -> list[Example]:
    """Read ``{"text": ..., "tier": ...}`` or ``{"text": ..., "label": ...}``, one a line.

    A label is a number from 0 (easy) to 1 (hard), ``easy`` or ``hard``, or one of ``tiers``, the
    easiest first.

    Raises:
        BadRequest: the file cannot be read, or a line is none of that; names the line.
    """
    decode = msgspec.json.Decoder(_Line).decode
    examples: list[Example] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = decode(line)
        except msgspec.MsgspecError as error:
            raise BadRequest(f"{path}:{number}: {error}") from None
        label = _label(entry, tiers)
        if label is None:
            known = ", ".join(tiers or ("easy", "hard"))
            raise BadRequest(
                f"{path}:{number}: give tier or label: one of {known}, or a number from 0 to 1."
            )
        examples.append(Example(entry.text, label))
    return examples


def _label(entry: _Line, tiers: Sequence[str]) -> float | None:
    said = entry.tier if entry.tier is not None else entry.label
    if isinstance(said, int | float):
        return float(said) if 0 <= said <= 1 else None
    names = list(tiers or ("easy", "hard"))
    if said not in names:
        return None
    return names.index(said) / (len(names) - 1)


def train(
    examples: Sequence[Example],
    version: str,
    *,
    ridge: float = RIDGE,
    ignored: Collection[str] = (),
) -> Classifier:
    """Fit a logistic regression and its thresholds; the same examples give the same classifier.

    Labels weigh alike in sum, however many examples they have, so that a score of one half means
    "as likely hard as easy" whatever the mix of the file. Features that are ``ignored`` get no weight.

    Raises:
        BadRequest: too few examples of a label.
    """
    labels = np.array([example.label for example in examples])
    hard, easy = int((labels >= 0.5).sum()), int((labels < 0.5).sum())
    if min(hard, easy) < MIN_EXAMPLES:
        raise BadRequest(
            f"There are {easy} easy and {hard} hard examples; at least {MIN_EXAMPLES} of each are "
            "needed to learn from."
        )
    table = table_of(examples)
    table[:, [NAMES.index(name) for name in ignored]] = 0.0
    shares = np.where(labels >= 0.5, 0.5 / hard, 0.5 / easy) * len(examples)
    weights, bias = _fit(table, labels, shares, ridge)
    raw = Classifier(version=version, bias=bias, weights=tuple(weights), thresholds={})
    return msgspec.structs.replace(raw, thresholds=_thresholds(predict(raw, table), labels))


def table_of(examples: Iterable[Example]) -> Floats:
    """Return the features of examples, a row each."""
    return np.array([features(example.text, PLAIN) for example in examples])


def predict(classifier: Classifier, table: Floats) -> Floats:
    """Return the scores of many rows."""
    return 1.0 / (1.0 + np.exp(-(table @ np.array(classifier.weights) + classifier.bias)))


def _fit(table: Floats, labels: Floats, shares: Floats, ridge: float) -> tuple[list[float], float]:
    """Newton's method on standardised features; the scaling is folded into the weights."""
    mean, spread = table.mean(0), table.std(0)
    spread[spread == 0] = 1.0
    rows = np.hstack([(table - mean) / spread, np.ones((len(table), 1))])
    pull = np.full(rows.shape[1], ridge * len(rows))
    pull[-1] = 0.0
    found = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        guess = 1.0 / (1.0 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (shares * (guess - labels)) + pull * found
        bend = (rows * (shares * guess * (1 - guess))[:, None]).T @ rows + np.diag(pull + 1e-9)
        step = np.linalg.solve(bend, slope)
        found -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = found[:-1] / spread
    weights[table.std(0) == 0] = 0.0  # never seen to differ: nothing was learnt about it
    return [float(weight) for weight in weights], float(found[-1] - weights @ mean)


def _thresholds(scores: Floats, labels: Floats) -> dict[int, tuple[float, ...]]:
    """Return where tiers begin: the first cut misses ``_MISSED`` of the hard, the others divide
    what lies above it evenly."""
    first = float(np.clip(np.quantile(scores[labels >= 0.5], _MISSED), 0.1, 0.6))
    return {
        count: tuple(round(first + (1 - first) * k / (count - 1), 4) for k in range(count - 1))
        for count in (2, 3, 4)
    }


def measure(classifier: Classifier, examples: Sequence[Example]) -> Scores:
    """Return how well ``classifier`` does on ``examples``."""
    labels = np.array([example.label for example in examples]) >= 0.5
    scores = predict(classifier, table_of(examples))
    said = scores >= classifier.thresholds[2][0]
    return Scores(
        examples=len(examples),
        hard=int(labels.sum()),
        accuracy=float((said == labels).mean()),
        recall_hard=_mean(said[labels]),
        recall_easy=_mean(~said[~labels]),
        auc=_auc(scores, labels),
        brier=float(((scores - labels) ** 2).mean()),
        calibration_error=_calibration_error(scores, labels),
    )


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _auc(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """The chance that a hard example scores above an easy one; ties count half."""
    hard, easy = np.sort(scores[labels]), np.sort(scores[~labels])
    if not len(hard) or not len(easy):
        return float("nan")
    below = np.searchsorted(easy, hard, "left") + np.searchsorted(easy, hard, "right")
    return float(below.mean() / 2 / len(easy))


def _calibration_error(scores: Floats, labels: NDArray[np.bool_]) -> float:
    bins = np.minimum((scores * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        inside = bins == number
        if inside.any():
            error += float(abs(scores[inside].mean() - labels[inside].mean()) * inside.mean())
    return error


def write_classifier(path: Path, classifier: Classifier, card: Mapping[str, object]) -> None:
    """Write a classifier with its card: what it was made from and how well it does."""
    lines = [
        "# Made by a program: santral routes train, or scripts/train_complexity.py.",
        f"version = {toml_value(classifier.version)}",
        f"bias = {classifier.bias:.6f}",
        "",
        "[weights]",
        *[f"{name} = {w:.6f}" for name, w in zip(NAMES, classifier.weights, strict=True)],
        "",
        "[thresholds] # by the number of tiers: the scores at which the next one begins",
        *[f"{count} = {toml_value(cuts)}" for count, cuts in classifier.thresholds.items()],
        "",
        "[card]",
        *[f"{toml_key(name)} = {toml_value(value)}" for name, value in card.items()],
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

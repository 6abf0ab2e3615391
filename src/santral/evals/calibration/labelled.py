"""Answers that people labelled, as data sets and exports of review hold them.

``LABEL`` in an example's metadata is what people agreed on, ``LABEL.1``, ``LABEL.2``, ... what each of
them said; ``probability`` with which the answer was drawn. The answer stands in the column ``answer`` of
a file, or in the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.answer import Answer
from santral.evals.evaluator import Case
from santral.evals.example import Example, Plain

#: What people say of pairs, as the value of the answer against the other.
_PREFERENCES: Mapping[str, float] = {"a": 1.0, "b": 0.0, "tie": 0.5}
_WORDS: Mapping[str, float] = {
    "yes": 1.0, "no": 0.0, "pass": 1.0, "fail": 0.0, "true": 1.0, "false": 0.0, "good": 1.0, "bad": 0.0,
}  # fmt: skip


class Labelled(Struct, frozen=True, kw_only=True):
    """An answer, and what people say of it: by rater, and together."""

    case: Case
    agreed: float
    raters: Mapping[str, float]
    probability: float = 1.0


def labelled_of(
    examples: Iterable[Example],
    answers: Mapping[str, Answer],
    label: str,
    words: Mapping[str, float] | None = None,
) -> list[Labelled]:
    """Return the examples that people labelled; those without an answer or the label are left out.

    ``words`` are values of labels that are words, beside yes and no, pass and fail, and a, b and tie.

    Raises:
        BadRequest: a label is a word of which nobody knows the value; names example and label.
    """
    known = {**_WORDS, **_PREFERENCES, **(words or {})}
    found: list[Labelled] = []
    for example in examples:
        raters = _raters(example, label, known)
        agreed = _value(example, label, known)
        answer = answers.get(example.id) or _told(example, "answer")
        if answer is None or (agreed is None and not raters):
            continue
        case = Case(example=example, answer=answer, other=_told(example, "other"))
        found.append(
            Labelled(
                case=case,
                agreed=_together(list(raters.values())) if agreed is None else agreed,
                raters=raters or {"1": agreed or 0.0},
                probability=_probability(example),
            )
        )
    return found


def _raters(example: Example, label: str, words: Mapping[str, float]) -> dict[str, float]:
    """Return what each rater said, by their number."""
    given = (
        (key.removeprefix(f"{label}."), _value(example, key, words))
        for key in example.metadata
        if key.startswith(f"{label}.") and key.removeprefix(f"{label}.").isdigit()
    )
    return {rater: value for rater, value in given if value is not None}


def _value(example: Example, key: str, words: Mapping[str, float]) -> float | None:
    said = example.metadata.get(key)
    if said is None or said == "":
        return None
    if isinstance(said, str):
        number = words.get(said.strip().lower(), words.get(said))
        return _number(example, key, said) if number is None else number
    return float(said)


def _number(example: Example, key: str, said: str) -> float:
    try:
        return float(said)  # files of other programs hold numbers as text
    except ValueError:
        raise BadRequest(
            f"Example '{example.id}': {key} = '{said[:64]}' is no number, and no label of this judge.",
            code="unknown_label",
            param=key,
        ) from None


def _together(values: list[float]) -> float:
    """Return the middle one of what raters said, the lower of two."""
    return sorted(values)[(len(values) - 1) // 2]


def _told(example: Example, key: str) -> Answer | None:
    said: Plain = example.metadata.get(key)
    return Answer(text=said) if isinstance(said, str) and said else None


def _probability(example: Example) -> float:
    given = example.metadata.get("probability")
    is_share = isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= 1
    return float(given) if is_share and given is not None else 1.0

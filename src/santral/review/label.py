"""What raters say of an item: labels, the values they take, and what several raters make together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct, field

from santral.errors import BadRequest, nearest

LabelKind: TypeAlias = Literal["binary", "scale", "category", "text", "preference"]
#: 1 and 0 of a binary label, a step of a scale, a choice, a text, a, b or tie of a preference.
Value: TypeAlias = float | str
Labels: TypeAlias = Mapping[str, Value]

#: What a preference may be: by the answer itself, not by the place in which it was shown.
PREFERENCES = ("a", "b", "tie")
#: Longest text of a label or reason. Chosen.
LONGEST_TEXT = 4_000


class Label(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question that a rater answers about an item."""

    name: str  # of the score that it becomes
    kind: LabelKind = "binary"
    choices: list[str] = field(default_factory=list[str])  # of a category, in the order of keys
    low: int = 1  # of a scale
    high: int = 5
    is_required: bool = True
    help: str = ""  # for raters: what to look at

    @property
    def values(self) -> list[Value]:
        """Every value it may take, in the order of the keys 1 to 9; none for a text."""
        if self.kind == "binary":
            return [1, 0]
        if self.kind == "scale":
            return list(range(self.low, self.high + 1))
        return list(PREFERENCES) if self.kind == "preference" else list(self.choices)


def checked_labels(labels: Sequence[Label], given: Mapping[str, object]) -> dict[str, Value]:
    """Return what a rater gave, as it is kept.

    Raises:
        BadRequest: an unknown label, a value it cannot take, or a required one is missing.
    """
    known = {label.name: label for label in labels}
    for name in given:
        if name not in known:
            raise BadRequest(
                f"This queue has no label '{name[:64]}'.{nearest(name[:64], known)} "
                f"Labels: {', '.join(known)}.",
                param=f"labels.{name[:64]}",
                code="bad_label",
            )
    found = {
        name: _value(label, given[name])
        for name, label in known.items()
        if given.get(name) not in (None, "")
    }
    for name, label in known.items():
        if label.is_required and name not in found:
            raise BadRequest(
                f"The label '{name}' is missing. {_wanted(label)}",
                param=f"labels.{name}",
                code="bad_label",
            )
    return found


def agreed(
    labels: Sequence[Label], given: Sequence[Labels], beyond: float
) -> tuple[dict[str, Value], list[str]]:
    """Return what raters say together, and the labels on which they disagree.

    A scale is its mean, where no two raters are further apart than ``beyond``; anything else is what
    most say. Where as many say one thing as another there is no value. Texts are no matter of agreement.
    """
    outcome: dict[str, Value] = {}
    disputed: list[str] = []
    for label in labels:
        values = [one[label.name] for one in given if label.name in one]
        if not values or label.kind == "text":
            continue
        if label.kind == "scale":
            numbers = [float(value) for value in values]
            outcome[label.name] = sum(numbers) / len(numbers)
            is_apart = max(numbers) - min(numbers) > beyond
        else:
            is_apart = len(set(values)) > 1
            (most, count), *others = Counter(values).most_common(2)
            if not others or others[0][1] < count:
                outcome[label.name] = most
        if is_apart:
            disputed.append(label.name)
    return outcome, disputed


def _value(label: Label, given: object) -> Value:
    if label.kind == "text":
        text = str(given)
        if len(text) > LONGEST_TEXT:
            raise BadRequest(
                f"The text of '{label.name}' is longer than {LONGEST_TEXT} characters.",
                param=f"labels.{label.name}",
                code="bad_label",
            )
        return text
    value: object = {"true": 1, "yes": 1, "false": 0, "no": 0}.get(str(given).lower(), given)
    for known in label.values:
        if str(value) == str(known) or (isinstance(value, (bool, int, float)) and value == known):
            return known
    raise BadRequest(
        f"'{str(given)[:40]}' is no value of '{label.name}'. {_wanted(label)}",
        param=f"labels.{label.name}",
        code="bad_label",
    )


def _wanted(label: Label) -> str:
    if label.kind == "text":
        return "Give a text."
    return f"Give one of: {', '.join(map(str, label.values))}."

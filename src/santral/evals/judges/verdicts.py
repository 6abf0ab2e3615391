"""Forms that say yes or no of each of several things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from santral.evals.judges.ballot import form
from santral.evals.judges.sitting import Filled, Trouble

#: One verdict for each number, its reason first.
VERDICTS: dict[str, Any] = form(
    verdicts={
        "type": "array",
        "maxItems": 200,
        "items": form(
            number={"type": "integer"}, reason={"type": "string"}, verdict={"enum": [0, 1]}
        ),
    }
)


def read_verdicts(filled: Filled, count: int) -> list[bool]:
    """Return the verdicts in the order of the numbers.

    Raises:
        Trouble: a number is missing, comes twice, or was never asked about.
    """
    given = filled.fields["verdicts"]
    by_number = {int(one["number"]): bool(one["verdict"]) for one in given}
    if len(given) != count or by_number.keys() != set(range(1, count + 1)):
        raise Trouble("unreadable", f"{count} verdicts were asked for, {len(given)} came back")
    return [by_number[number] for number in range(1, count + 1)]


def share(verdicts: Sequence[bool]) -> float:
    """Return the share of verdicts that are yes."""
    return sum(verdicts) / len(verdicts)

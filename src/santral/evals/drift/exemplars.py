"""Which requests show a drift best, and which part of the traffic they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from santral.evals.drift.compare import Moved
from santral.evals.drift.requests.seen import Seen
from santral.retrieval.analysis.language import detect_language

#: Requests that are named, each of another session. Chosen: as many as a person reads.
NAMED = 5
#: Requests that lead the move, of which the common part is looked for. Chosen: a tenth, some at least.
_LEADING_SHARE, _LEAST_LEADING = 0.1, 20
#: A part is named where the leading requests are in it so much more often than all. Chosen.
_LEAST_LIFT = 1.5

#: How traffic is cut into parts.
_PARTS: Mapping[str, Callable[[Seen], str]] = {
    "route": lambda seen: seen.route,
    "prompt": lambda seen: seen.prompt,
    "model": lambda seen: seen.model,
    "language": lambda seen: detect_language(seen.question) if seen.question else "",
}


class Slice(Struct, frozen=True):
    """A part of the traffic: it has ``share`` of all requests and ``leading`` of those that moved."""

    part: str
    value: str
    share: float
    leading: float


def exemplars_of(moved: Moved, current: Sequence[Seen]) -> list[str]:
    """Return the traces of the requests that lead the move, each of another session."""
    found: dict[str, str] = {}
    for place in _leading(moved, len(moved.rows)):
        found.setdefault(current[place].session, current[place].trace_id)
        if len(found) == NAMED:
            break
    return list(found.values())


def slice_of(moved: Moved, current: Sequence[Seen]) -> Slice | None:
    """Return the part of the traffic in which the move is; None where it is everywhere."""
    count = max(_LEAST_LEADING, int(len(moved.rows) * _LEADING_SHARE))
    leading = [current[place] for place in _leading(moved, count)]
    every = [current[place] for place in moved.rows]
    found: list[Slice] = []
    for part, read in _PARTS.items():
        overall = Counter(map(read, every))
        for value, times in Counter(map(read, leading)).items():
            share, ahead = overall[value] / len(every), times / len(leading)
            if value and ahead > 0.5 and ahead >= _LEAST_LIFT * share:
                found.append(Slice(part, value, round(share, 3), round(ahead, 3)))
    return max(found, key=lambda one: one.leading / one.share, default=None)


def _leading(moved: Moved, count: int) -> list[int]:
    order = sorted(range(len(moved.rows)), key=lambda i: -moved.toward[i])
    return [moved.rows[i] for i in order[:count]]

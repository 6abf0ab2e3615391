"""Long lists of ids, cut so that a database takes them in a statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Ids of one statement. Specified: SQLite takes 32,766 variables; chosen well below.
AT_ONCE = 500


def parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield ``ids`` in parts that fit a statement."""
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]

"""Follow a chain of rows and find where it is broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from santral.audit.entry import Entry, Link, digest


class Break(Struct, frozen=True):
    """Where a chain does not hold."""

    number: int  # the first bad one
    reason: str


class Chain:
    """Follows rows in the order of their numbers, from ``beginning`` on.

    ``witnessed`` says which hashes others saw at which number: whoever rewrites a row and all hashes
    after it still differs from what was seen.
    """

    def __init__(self, beginning: Link, witnessed: Mapping[int, str]) -> None:
        self._last = beginning
        self._previous = beginning
        self._witnessed = {n: hash_ for n, hash_ in witnessed.items() if n >= beginning.number}
        self._seen = beginning.number  # the highest number that agreed with a witness
        self.rows = 0

    @property
    def last(self) -> Link:
        """The place that was reached."""
        return self._last

    def follow(self, entries: Iterable[Entry]) -> Break | None:
        """Take the next rows; return the first break."""
        for entry in entries:
            broken = self._fault(entry)
            if broken is not None:
                return broken
            self._previous, self._last = self._last, entry.link
            self.rows += 1
            if entry.number in self._witnessed:
                self._seen = entry.number
        return None

    def end(self) -> Break | None:
        """Return what is missing after the last row."""
        newest = max(self._witnessed, default=0)
        if newest <= self._last.number:
            return None
        return Break(
            self._last.number + 1,
            f"the log ends at row {self._last.number}, and row {newest} was seen: the rows between "
            "are cut off",
        )

    def _fault(self, entry: Entry) -> Break | None:
        expected = self._last.number + 1
        if entry.number != expected:
            gap = (
                f"rows {expected} to {entry.number - 1} are"
                if entry.number > expected + 1
                else f"row {expected} is"
            )
            return Break(expected, f"{gap} missing")
        if digest(entry) != entry.hash:
            return Break(expected, f"row {expected} was changed: its hash is another")
        if entry.previous_hash != self._last.hash:
            # Its own hash is right, so what it followed had another hash when it was written.
            bad = max(self._last.number, self._seen + 1)
            return Break(
                bad,
                f"row {expected} follows another row than {self._last.number}: that one was "
                "changed or put in afterwards, or this one was",
            )
        return self._against_witness(entry)

    def _against_witness(self, entry: Entry) -> Break | None:
        seen = self._witnessed.get(entry.number)
        if seen is None or seen == entry.hash:
            return None
        first = self._seen + 1
        where = f"row {first}" if first == entry.number else f"a row of {first} to {entry.number}"
        return Break(
            first,
            f"{where} was changed and the hashes after it made anew: row {entry.number} had another "
            "hash when it was seen",
        )

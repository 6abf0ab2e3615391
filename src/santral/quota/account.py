"""What one limit has left, in the memory of one process: a bucket, a window, or requests held."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque

from santral.quota.claim import Claim
from santral.quota.window import LENGTH_S

#: A bucket this full holds one request: seconds since 1970 tick at 0.24 µs in a float, so who waits
#: as long as told may come a trifle early. What is taken is a whole request all the same.
ONE_REQUEST = 1.0 - 1e-3
#: When to come back if only running requests are in the way: one of them may end at any time. Chosen.
SOON_S = 1.0


class Account(ABC):
    """The state of one limit. The claim comes with every call, so its amount may change at any time.

    ``slot`` is the window, or part of one, to which an amount was added: what a request used belongs
    to where it was reserved, however long it took.
    """

    __slots__ = ("claim", "held", "holds")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.holds = 0
        self.held: int = 0  # what of the amount running requests have reserved

    @abstractmethod
    def used(self, claim: Claim, now: float) -> int:
        """Return what is spent and reserved in the window that runs; brings the account up to now."""

    @abstractmethod
    def has_room(self, claim: Claim, need: int, now: float) -> bool:
        """Whether ``need`` more fits; brings the account up to now."""

    @abstractmethod
    def take(self, need: int) -> int:
        """Reserve, right after ``has_room`` was asked; return the slot."""

    @abstractmethod
    def fits(self, claim: Claim, slot: int, need: int, now: float) -> bool:
        """Whether ``need`` more fits into the slot of a hold: one that has left takes anything."""

    @abstractmethod
    def grow(self, slot: int, need: int) -> None:
        """Reserve more in the slot of a hold; one that has left is left alone."""

    @abstractmethod
    def close(self, slot: int, reserved: int, used: int) -> None:
        """Replace what was reserved in a slot by what was used; one that has left is left alone."""

    @abstractmethod
    def opens_in(self, claim: Claim, need: int, now: float) -> float:
        """Return the seconds until ``need`` may fit, if nothing else is asked meanwhile."""

    def _returns(self, claim: Claim) -> int:
        """Return what running requests may give back: of requests nothing, they were made."""
        return 0 if claim.measure == "requests" else self.held

    @abstractmethod
    def is_idle(self, now: float) -> bool:
        """Whether a new account would answer the same."""


class Bucket(Account):
    """Requests per second: filled at the rate, as deep as its burst."""

    __slots__ = ("level", "refilled_at")

    def __init__(self, claim: Claim, now: float) -> None:
        super().__init__(claim)
        self.level = math.inf  # cut to the size of the bucket at its first use
        self.refilled_at = now

    def used(self, claim: Claim, now: float) -> int:
        return int(claim.rule.capacity - math.floor(self._refill(claim, now) + 1e-9))

    def has_room(self, claim: Claim, need: int, now: float) -> bool:
        return self._refill(claim, now) >= ONE_REQUEST

    def take(self, need: int) -> int:
        # A dry run takes from an empty bucket too: it owes nothing to those who come later.
        self.level = self.level - 1.0 if self.level >= ONE_REQUEST else 0.0
        return 0

    def fits(self, claim: Claim, slot: int, need: int, now: float) -> bool:
        return True

    def grow(self, slot: int, need: int) -> None:
        """It is one request still."""

    def close(self, slot: int, reserved: int, used: int) -> None:
        """Nothing comes back: the request was made, whatever became of it."""

    def opens_in(self, claim: Claim, need: int, now: float) -> float:
        return max(0.0, 1.0 - self._refill(claim, now)) / (claim.rule.rate or 1.0)

    def is_idle(self, now: float) -> bool:
        return not self.holds and self._refill(self.claim, now) >= self.claim.rule.capacity

    def _refill(self, claim: Claim, now: float) -> float:
        """Bring the bucket up to ``now``; a clock that goes back fills nothing."""
        self.claim = claim
        level = self.level
        passed = now - self.refilled_at
        self.refilled_at = now
        if passed > 0.0:
            level += passed * (claim.rule.rate or 0.0)
        capacity = claim.rule.capacity
        if level > capacity:
            level = capacity
        self.level = level
        return level


class Fixed(Account):
    """An amount in each calendar window."""

    __slots__ = ("amount", "slot")

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim)
        self.slot = 0
        self.amount = 0

    def used(self, claim: Claim, now: float) -> int:
        self.claim = claim
        start = claim.calendar.at(now) if claim.calendar is not None else 0
        if start > self.slot:
            self.slot, self.amount, self.held = start, 0, 0
        seed = claim.seed
        if seed.start == self.slot and seed.amount > self.amount - self.held:
            self.amount = seed.amount + self.held  # the ledger knows no request that runs
        return self.amount

    def has_room(self, claim: Claim, need: int, now: float) -> bool:
        return self.used(claim, now) + need <= claim.limit

    def take(self, need: int) -> int:
        self.amount += need
        self.held += need
        return self.slot

    def fits(self, claim: Claim, slot: int, need: int, now: float) -> bool:
        return self.has_room(claim, need, now) or slot != self.slot

    def grow(self, slot: int, need: int) -> None:
        if slot == self.slot:
            self.amount += need
            self.held += need

    def close(self, slot: int, reserved: int, used: int) -> None:
        if slot == self.slot:
            self.amount += used - reserved
            self.held -= reserved

    def opens_in(self, claim: Claim, need: int, now: float) -> float:
        used = self.used(claim, now)
        if need <= claim.limit and used - self._returns(claim) + need <= claim.limit:
            return SOON_S
        end = claim.calendar.end if claim.calendar is not None else now
        return max(0.0, end - now)

    def is_idle(self, now: float) -> bool:
        return not self.holds and not self.used(self.claim, now)


class _Part:
    """A part of a rolling window: what was added in it, and what of that is only reserved."""

    __slots__ = ("amount", "held", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.amount: int = 0
        self.held: int = 0


class Rolling(Account):
    """An amount in any stretch of time as long as the window, kept in parts of it."""

    __slots__ = ("amount", "last", "parts")

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim)
        self.parts: deque[_Part] = deque()  # the oldest first
        self.amount = 0
        self.last: _Part | None = None  # the one that left last

    def used(self, claim: Claim, now: float) -> int:
        self.claim = claim
        parts = self.parts
        gone = now - LENGTH_S[claim.rule.window] - claim.part_s
        while parts and parts[0].start <= gone:
            left = parts.popleft()
            self.last = left
            self.amount -= left.amount
            self.held -= left.held
        seed = claim.seed
        if seed.amount and seed.start > gone:
            known = self.amount - self.held
            if self.last is not None and self.last.start + claim.part_s > seed.start:
                known += self.last.amount  # it had not left when the ledger was read
            if seed.amount > known:
                self._running(now).amount += seed.amount - known
                self.amount += seed.amount - known
        return self.amount

    def has_room(self, claim: Claim, need: int, now: float) -> bool:
        used = self.used(claim, now)
        self._running(now)
        return used + need <= claim.limit

    def take(self, need: int) -> int:
        running = self.parts[-1]
        self.grow(running.start, need)
        return running.start

    def fits(self, claim: Claim, slot: int, need: int, now: float) -> bool:
        return self.has_room(claim, need, now) or all(part.start != slot for part in self.parts)

    def grow(self, slot: int, need: int) -> None:
        self._change(slot, need, need)

    def close(self, slot: int, reserved: int, used: int) -> None:
        self._change(slot, used - reserved, -reserved)

    def opens_in(self, claim: Claim, need: int, now: float) -> float:
        used = self.used(claim, now)
        if need > claim.limit:
            return float(LENGTH_S[claim.rule.window])
        if used - self._returns(claim) + need <= claim.limit:
            return SOON_S
        for part in self.parts:
            used -= part.amount
            if used + need <= claim.limit:
                return max(0.0, part.start + claim.part_s + LENGTH_S[claim.rule.window] - now)
        return SOON_S

    def is_idle(self, now: float) -> bool:
        if self.holds or self.used(self.claim, now):
            return False
        since = now - LENGTH_S[self.claim.rule.window] - 2 * self.claim.part_s
        return self.last is None or self.last.start <= since  # then no ledger knows of it any more

    def _change(self, slot: int, amount: int, held: int) -> None:
        for part in reversed(self.parts):
            if part.start == slot:
                part.amount += amount
                part.held += held
                self.amount += amount
                self.held += held
                return

    def _running(self, now: float) -> _Part:
        """Return the part that runs; a clock that goes back begins none."""
        part_s = self.claim.part_s
        start = int(now) // part_s * part_s
        if not self.parts or self.parts[-1].start < start:
            self.parts.append(_Part(start))
        return self.parts[-1]


class Held(Account):
    """Requests that run at once."""

    __slots__ = ()

    def used(self, claim: Claim, now: float) -> int:
        self.claim = claim
        return self.holds

    def has_room(self, claim: Claim, need: int, now: float) -> bool:
        return self.holds < claim.limit

    def take(self, need: int) -> int:
        return 0

    def fits(self, claim: Claim, slot: int, need: int, now: float) -> bool:
        return True

    def grow(self, slot: int, need: int) -> None:
        """It is one request still."""

    def close(self, slot: int, reserved: int, used: int) -> None:
        """A hold that closes is counted by its limiter."""

    def opens_in(self, claim: Claim, need: int, now: float) -> float:
        return SOON_S

    def is_idle(self, now: float) -> bool:
        return not self.holds


def new_account(claim: Claim, now: float) -> Account:
    """Return an empty account of the kind that a claim needs."""
    if claim.kind == "bucket":
        return Bucket(claim, now)
    if claim.kind == "held":
        return Held(claim)
    return Rolling(claim) if claim.kind == "rolling" else Fixed(claim)

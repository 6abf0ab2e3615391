"""Whatever happens in whatever order, the limiter counts what happened, and nobody gets past a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)
from msgspec.structs import replace
from tests.quota.clock import DAY_S, Clock, at_once
from tests.quota.rules import claim, limit

from santral.errors import QuotaExceeded
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.memory import MemoryLimiter
from santral.quota.rule import Rule
from santral.quota.window import LENGTH_S, part_s

HOLD_S = 600.0
RULES: dict[str, Rule] = {
    "day": limit("tokens", "day", 100),
    "minute": limit("tokens", "minute", 60, is_rolling=True),
    "money": limit("usd", "hour", 500, is_rolling=True),
    "month": limit("usd", "month", 900, time_zone="Europe/Istanbul"),
    "held": limit("concurrent", "", 4),
    "rate": limit("requests", "second", rate=0.5, burst=5),
    "count": limit("requests", "day", 12),
    "tried": limit("tokens", "hour", 30, is_rolling=True, is_dry_run=True),
    "cheap": limit("tokens", "day", 70, fall_to="small", id="cheap"),
}
SETS = [
    ("day", "rate"),
    ("day", "minute", "held"),
    ("minute", "money"),
    ("month", "money", "count"),
    ("held", "tried", "rate"),
    ("cheap", "tried"),
    ("cheap", "day"),
    tuple(RULES),
]


@dataclass
class Held:
    """One admitted request, as the rules say it counts."""

    at: float
    names: tuple[str, ...]  # of the rules that it took something of
    need: Need
    rules: dict[str, Rule]  # as they were then: a limit that changes holds for later requests
    used: Need | None = None  # once it is settled

    def is_open(self, now: float) -> bool:
        return self.used is None and now < self.at + HOLD_S

    def counts(self, rule: Rule, now: float) -> int:
        """What it takes of a rule, wherever that belongs to."""
        if rule.measure == "requests":
            return 1
        if self.used is not None:
            return self.used.of(rule.measure)
        return self.need.of(rule.measure) if self.is_open(now) else 0


class Model:
    """A plain list of all requests; everything is worked out anew."""

    def __init__(self, now: float) -> None:
        self.made: dict[str, Held] = {}
        self.level, self.filled_at = math.inf, now

    def used(self, name: str, rule: Rule, now: float) -> int:
        taken = [held for held in self.made.values() if name in held.names]
        if rule.measure == "concurrent":
            return sum(held.is_open(now) for held in taken)
        if rule.is_rolling:
            part, length = part_s(rule.window), LENGTH_S[rule.window]
            return sum(
                held.counts(rule, now)
                for held in taken
                if int(held.at) // part * part + part > now - length
            )
        window = claim(rule).calendar
        assert window is not None
        start = window.at(now)
        return sum(held.counts(rule, now) for held in taken if held.at >= start)

    def fits(self, name: str, rule: Rule, need: Need, now: float) -> bool:
        if rule.rate is not None:
            passed, self.filled_at = now - self.filled_at, now
            self.level = min(rule.capacity, self.level + passed * rule.rate)
            return self.level >= 1
        return self.used(name, rule, now) + need.of(rule.measure) <= rule.limit


class Interleavings(RuleBasedStateMachine):
    """Any order of reserve, extend, settle, release, expiry, changed limits and passing time."""

    holds: Bundle[Hold] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.limiter = MemoryLimiter(self.clock, hold_s=HOLD_S)
        self.model = Model(self.clock.now)
        self.limits = dict(RULES)

    def claims(self, names: tuple[str, ...]) -> list[Claim]:
        return [claim(self.limits[name]) for name in names]

    @rule(
        target=holds,
        names=st.sampled_from(SETS),
        tokens=st.integers(0, 80),
        nanousd=st.integers(0, 300),
    )
    def reserve(self, names: tuple[str, ...], tokens: int, nanousd: int) -> Hold | Any:
        now, need = self.clock.now, Need(tokens, nanousd)
        full = [n for n in names if not self.model.fits(n, self.limits[n], need, now)]
        asked = self.claims(names)
        before = [self.limiter.used(c) for c in asked]
        if any(c.is_enforced and n in full for n, c in zip(names, asked, strict=True)):
            with pytest.raises(QuotaExceeded) as caught:
                at_once(self.limiter.reserve(asked, need))
            assert (caught.value.retry_after_s or 0) > 0
            assert [self.limiter.used(c) for c in asked] == before
            return multiple()
        hold = at_once(self.limiter.reserve(asked, need))
        skipped = [n for n in full if self.limits[n].fall_to]
        assert hold.fall_to == ("small" if skipped else "")
        taken = tuple(n for n in names if n not in skipped)
        if "rate" in taken:
            self.model.level -= 1
        self.model.made[hold.id] = Held(now, taken, need, dict(self.limits))
        return hold

    @rule(hold=holds, tokens=st.integers(0, 40), nanousd=st.integers(0, 100))
    def extend(self, hold: Hold, tokens: int, nanousd: int) -> None:
        known, now = self.model.made[hold.id], self.clock.now
        if not known.is_open(now):
            self._touch()  # what has expired is noticed when anything is asked
            at_once(self.limiter.extend(hold, Need(tokens, nanousd)))
            return
        more = Need(tokens, nanousd)
        full = [n for n in known.names if self._is_in_the_way(n, known, more)]
        if full:
            with pytest.raises(QuotaExceeded):
                at_once(self.limiter.extend(hold, more))
            assert hold.need == known.need
            return
        at_once(self.limiter.extend(hold, more))
        known.need = Need(known.need.tokens + tokens, known.need.nanousd + nanousd)
        assert hold.need == known.need

    @rule(hold=holds, share=st.floats(0, 1.5))
    def settle(self, hold: Hold, share: float) -> None:
        used = Need(int(hold.need.tokens * share), int(hold.need.nanousd * share))
        at_once(self.limiter.settle(hold, used))
        known = self.model.made[hold.id]
        if known.used is None:
            known.used = used

    @rule(hold=consumes(holds))
    def release(self, hold: Hold) -> None:
        at_once(self.limiter.release(hold))
        at_once(self.limiter.release(hold))
        known = self.model.made[hold.id]
        known.used = known.used or Need()
        assert hold.is_closed

    @precondition(lambda self: self.model.made)
    @rule(hold=holds)
    def settle_twice(self, hold: Hold) -> None:
        self.settle(hold, 1.0)
        at_once(self.limiter.settle(hold, Need(999, 999)))
        at_once(self.limiter.release(hold))

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 2.0, 30.0, 61.0, HOLD_S, 3600.0, 40_000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(name=st.sampled_from(["day", "minute", "money", "held", "cheap"]), by=st.floats(0.2, 2))
    def change_limit(self, name: str, by: float) -> None:
        amount = max(1, int((RULES[name].amount or 0) * by))
        self.limits[name] = replace(self.limits[name], amount=amount)

    @invariant()
    def what_is_counted_is_what_happened(self) -> None:
        for name, one in self.limits.items():
            if one.rate is None:
                counted = self.limiter.used(claim(one))
                assert counted == self.model.used(name, one, self.clock.now), name

    @invariant()
    def what_is_open_is_held(self) -> None:
        self._touch()
        is_open = sum(held.is_open(self.clock.now) for held in self.model.made.values())
        assert self.limiter.open_holds == is_open

    def _touch(self) -> None:
        self.limiter.used(claim(RULES["day"]))

    def _is_in_the_way(self, name: str, known: Held, more: Need) -> bool:
        rule, now = known.rules[name], self.clock.now
        amount = more.of(rule.measure)
        if rule.measure not in ("tokens", "usd") or not amount or rule.is_dry_run:
            return False
        if rule.is_rolling:
            part = part_s(rule.window)
            is_gone = int(known.at) // part * part + part <= now - LENGTH_S[rule.window]
        else:
            window = claim(rule).calendar
            assert window is not None
            is_gone = known.at < window.at(now)
        return not is_gone and self.model.used(name, rule, now) + amount > rule.limit


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_model_itself_rolls() -> None:
    model, rule = Model(0.0), RULES["minute"]
    model.made["1"] = Held(3.0, ("minute",), Need(5), RULES, Need(5))
    assert [model.used("minute", rule, t) for t in (3.0, 63.0, 63.9, 64.0)] == [5, 5, 5, 0]
    assert part_s("day") * 30 == DAY_S

"""Claims as the words of a script, and its reply as how they stand."""

from __future__ import annotations

from collections.abc import Sequence

from santral.quota.answer import Standing
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.redis.pipe import Word
from santral.quota.window import LENGTH_S
from santral.tenants.tenant import EVERYWHERE

HEAD = 2  # of a reply: outcome, milliseconds
EACH_CLAIM = 6  # of a reply: numbers for each claim
REFUSED, ADMITTED, UNKNOWN_RUN = 0, 1, 2


class RedisHold(Hold):
    """A hold of the shared counters, or of this worker's share of them."""

    __slots__ = ("local",)

    local: Hold | None


def new_hold(id_: str, claims: Sequence[Claim], slots: Sequence[int], need: Need) -> RedisHold:
    """Return a hold of the shared counters; who reserves it sets when it expires."""
    hold = RedisHold(id_, claims, slots, need, 0.0)
    hold.local = None
    return hold


def by_group(claims: Sequence[Claim]) -> list[tuple[str, Sequence[Claim]]]:
    """Return the claims of each group; what all organisations share is asked first."""
    first = claims[0].group
    if all(claim.group == first for claim in claims):
        return [(first, claims)]
    groups = sorted({claim.group for claim in claims}, key=lambda group: group != EVERYWHERE)
    return [(group, [claim for claim in claims if claim.group == group]) for group in groups]


def slot_of(claim: Claim, now: float) -> int:
    """Return the window, or part of one, that runs at ``now``, seconds since 1970."""
    if claim.calendar is not None:
        return claim.calendar.at(now)
    return int(now // claim.part_s) * claim.part_s if claim.part_s else 0


_KINDS = {"bucket": "b", "calendar": "c", "rolling": "r", "held": "h"}


def words_of(claim: Claim, need: Need) -> list[Word]:
    """Return a claim as ``reserve.lua`` reads it."""
    rule = claim.rule
    mode = "e" if claim.is_enforced else "d" if rule.is_dry_run else "s"
    a: Word = 0
    b: Word = 0
    if claim.kind == "bucket":
        a, b = rule.rate or 1.0, rule.capacity
    elif claim.calendar is not None:
        a, b = claim.calendar.start, claim.calendar.end
    elif claim.kind == "rolling":
        a, b = claim.part_s, LENGTH_S[rule.window]
    amount = need.of(claim.measure)
    seed = claim.seed
    return [_KINDS[claim.kind], mode, amount, claim.limit, a, b, seed.amount, seed.start]


def standings_in(claims: Sequence[Claim], reply: Sequence[int]) -> list[Standing]:
    """Return how claims stand by a reply of ``reserve.lua`` or ``extend.lua``."""
    return [
        Standing(
            claim,
            reply[at],
            reply[at + 1],
            reply[at + 2] / 1000,
            reply[at + 3] / 1000,
        )
        for claim, at in zip(claims, range(HEAD, len(reply), EACH_CLAIM), strict=True)
    ]

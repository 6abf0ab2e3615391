"""What a worker allows while the shared counters cannot be asked: its own share of what was left."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from santral.errors import LimitsUnavailable, QuotaExceeded
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.memory import MemoryLimiter
from santral.quota.window import LENGTH_S

#: Accounts whose last known use is remembered. Chosen: some megabytes.
_MOST_SEEN = 20_000


class Share:
    """Limits of one worker alone, each a part of what was left when Redis was last heard.

    It is exact for this worker. What the others have in flight at that moment is not known, so all
    shares together may pass a limit by as much: a rule for which that is too much says ``refuse``.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._local = MemoryLimiter(clock)
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()  # account -> slot, used
        self._claims: dict[str, Claim] = {}
        #: By how many what is left is divided.
        self.workers = 1

    def saw(self, account: str, slot: int, used: int) -> None:
        """Remember what Redis said was used; a share that was given out before is a part of it.

        So a Redis that comes and goes gives nobody a second share of what was left once.
        """
        seen = self._seen
        if account not in seen and len(seen) >= _MOST_SEEN:
            seen.popitem(last=False)
        seen[account] = (slot, used)
        if self._claims and self._claims.pop(account, None) is not None:
            self._local.forget(account)

    async def reserve(self, claims: Sequence[Claim], need: Need) -> Hold:
        """Admit one request within this worker's share.

        Raises:
            LimitsUnavailable: a rule of the request refuses until Redis is back.
            QuotaExceeded: the share is used up.
        """
        for claim in claims:
            if claim.rule.uncoordinated == "refuse" and not claim.rule.is_dry_run:
                raise LimitsUnavailable(
                    f"What the {claim.rule.scope.kind} '{claim.scope_id}' has left is kept in Redis, "
                    "which does not answer. Try again in a moment.",
                    retry_after_s=1.0,
                )
        own = [self._own(claim) for claim in claims if claim.rule.uncoordinated == "share"]
        try:
            return await self._local.reserve(own, need)
        except QuotaExceeded as error:
            error.message = (
                "Redis, which counts for all workers, does not answer, so each worker keeps to its "
                f"share of what was left. Of that: {error.message}"
            )
            error.args = (error.message,)
            error.headers.pop("x-should-retry", None)  # it may be back in a moment
            raise

    async def extend(self, hold: Hold, need: Need) -> None:
        """Reserve more within this worker's share; raises as ``reserve``."""
        await self._local.extend(hold, need)

    async def settle(self, hold: Hold, used: Need) -> None:
        """Count what a request of the share has used."""
        await self._local.settle(hold, used)

    def _own(self, claim: Claim) -> Claim:
        known = self._claims.get(claim.account)
        if known is None or known.rule.id != claim.rule.id:
            known = self._claims[claim.account] = self._divided(claim)
        return known

    def _divided(self, claim: Claim) -> Claim:
        rule = claim.rule
        if claim.kind == "bucket":
            burst = max(1, int(rule.capacity / self.workers))
            rule = replace(rule, rate=(rule.rate or 1.0) / self.workers, burst=burst)
        else:
            left = claim.limit - self._known(claim)
            rule = replace(rule, amount=max(0, left) // self.workers)
        return Claim(rule, claim.scope_id, claim.group, {})

    def _known(self, claim: Claim) -> int:
        """Return what is known to be used in the window that runs."""
        if claim.kind == "held":
            return 0
        now, seed = self._clock(), claim.seed
        if claim.calendar is not None:
            start = claim.calendar.at(now)
        else:
            start = int(now) - LENGTH_S[claim.rule.window] - claim.part_s
        slot, used = self._seen.get(claim.account, (0, 0))
        return max(used if slot >= start else 0, seed.amount if seed.start >= start else 0)

"""Limits in the memory of one process: no round trip, and no second process to agree with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from santral.errors import Overloaded
from santral.quota.account import Account, new_account
from santral.quota.answer import Standing, refusal, standing
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.rule import Measure

#: After this long a hold that nobody settled is given up. Chosen: longer than any request may run
#: under the default timeouts, so that only a defect leaves one behind.
HOLD_S = 3600.0
#: Holds open at once; beyond it requests are refused. Chosen: far above ``server.max_in_flight``.
MAX_HOLDS = 100_000
#: Idle accounts looked for in one sweep at most: some microseconds. Chosen.
_LOOKS = 16


#: A claim with its account, and what the request may use of it.
_Asked = tuple[Claim, Account, int]


class MemoryHold(Hold):
    """A hold that knows its accounts; what it tells the caller is how they stand when it is asked."""

    __slots__ = ("asked", "clock", "taken")

    asked: list[_Asked]
    taken: list[_Asked]
    clock: Callable[[], float]

    def headers(self) -> dict[str, str]:
        """Return what the caller is told, as things stand now."""
        self.now = now = self.clock()
        self.standings = [standing(claim, account, now) for claim, account, _ in self.asked]
        return super().headers()


class MemoryLimiter:
    """Accounts by name. Every decision runs without a pause in between.

    ``clock`` returns seconds since 1970. A clock that goes back refills nothing and ends no window.
    """

    #: Nobody else has to be asked, so nothing can fail or get lost on the way.
    is_coordinated, errors, dropped = True, 0, 0

    def __init__(
        self, clock: Callable[[], float], *, hold_s: float = HOLD_S, max_holds: int = MAX_HOLDS
    ) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._max_holds = max_holds
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._open: OrderedDict[str, MemoryHold] = OrderedDict()  # oldest first: all last as long
        self._last_id = 0
        self._added = 0  # accounts added since the last sweep

    @property
    def open_holds(self) -> int:
        """How many requests hold something now."""
        return len(self._open)

    async def begin(self) -> None:
        """There is nobody to agree with."""

    async def run(self) -> None:
        """There is nothing to look after."""

    def billed_until(self, moment: float) -> None:
        """What is in this memory needs no ledger."""

    @property
    def known_accounts(self) -> int:
        """How many accounts are remembered: those with a hold, with use, or lately active."""
        return len(self._accounts)

    async def reserve(self, claims: Sequence[Claim], need: Need) -> MemoryHold:
        """Admit one request of at most ``need`` under every claim, or reserve nothing at all.

        What is reserved counts in the windows of this call.

        Raises:
            QuotaExceeded: a limit is used up.
            Overloaded: more holds are open than a process should ever have.
        """
        now = self._clock()
        if self._open or self._added:
            self._sweep(now)
        amounts = _amounts(need)
        asked: list[_Asked] = []
        fall_to = ""
        refused: list[Claim] = []
        skipped: list[Claim] = []
        for claim in claims:
            account = self._accounts.get(claim.account) or self._add(claim, now)
            amount = amounts[claim.measure]
            asked.append((claim, account, amount))
            if not account.has_room(claim, amount, now):
                if claim.is_enforced:
                    refused.append(claim)
                elif not claim.rule.is_dry_run:
                    fall_to = fall_to or claim.rule.fall_to
                    skipped.append(claim)
        if refused:
            raise _refusal(asked, refused, now)
        if len(self._open) >= self._max_holds:
            raise Overloaded(f"{self._max_holds} requests are open here. Try again in a moment.")
        taken = asked if not skipped else [one for one in asked if one[0] not in skipped]
        hold = self._take(taken, need, now)
        hold.asked, hold.fall_to = asked, fall_to
        return hold

    def _take(self, taken: list[_Asked], need: Need, now: float) -> MemoryHold:
        slots: list[int] = []
        claims: list[Claim] = []
        for claim, account, amount in taken:
            account.holds += 1
            slots.append(account.take(amount))
            claims.append(claim)
        self._last_id += 1
        hold = MemoryHold(str(self._last_id), claims, slots, need, now + self._hold_s)
        hold.taken, hold.clock = taken, self._clock
        self._open[hold.id] = hold
        return hold

    async def extend(self, hold: Hold, need: Need) -> None:
        """Reserve ``need`` more under a hold, or nothing at all: another attempt may use so much.

        Raises:
            QuotaExceeded: there is no room under one of its limits.
        """
        found = self._open.get(hold.id)
        if found is None:
            return  # closed or expired: what is used counts when it is settled
        now, amounts = self._clock(), _amounts(need)
        more = [
            (claim, account, amounts[claim.measure] if claim.measure in ("tokens", "usd") else 0)
            for claim, account, _ in found.taken
        ]
        refused = [
            claim
            for (claim, account, amount), slot in zip(more, found.slots, strict=True)
            if amount and not claim.rule.is_dry_run and not account.fits(claim, slot, amount, now)
        ]
        if refused:
            raise _refusal(more, refused, now)
        for (_, account, amount), slot in zip(more, found.slots, strict=True):
            account.grow(slot, amount)
        found.taken = [
            (claim, account, had + amount)
            for (claim, account, had), (_, _, amount) in zip(found.taken, more, strict=True)
        ]
        hold.need = Need(hold.need.tokens + need.tokens, hold.need.nanousd + need.nanousd)

    async def settle(self, hold: Hold, used: Need) -> None:
        """Replace what ``hold`` reserved by what was used. A second call changes nothing.

        What was used counts even where it is more than was reserved, or the hold had expired.
        """
        if hold.is_closed:
            return
        hold.is_closed = True
        found = self._open.pop(hold.id, None)
        if found is not None:
            self._close(found, used)
            return
        amounts = _amounts(used)
        for claim, slot in zip(hold.claims, hold.slots, strict=True):
            account = self._accounts.get(claim.account) or self._add(claim, self._clock())
            account.used(claim, self._clock())
            if claim.measure != "requests":
                account.close(slot, 0, amounts[claim.measure])

    async def release(self, hold: Hold) -> None:
        """Give back what ``hold`` reserved. After ``settle``, or twice, nothing changes.

        The request itself stays counted among the requests.
        """
        await self.settle(hold, Need())

    def forget(self, account: str) -> None:
        """Forget an account: another place counts for it from now on."""
        self._accounts.pop(account, None)

    def used(self, claim: Claim) -> int:
        """Return what is spent and reserved under a claim now."""
        now = self._clock()
        self._sweep(now)
        account = self._accounts.get(claim.account)
        return (account or new_account(claim, now)).used(claim, now)

    def _close(self, hold: MemoryHold, used: Need) -> None:
        amounts = _amounts(used)
        for (claim, account, reserved), slot in zip(hold.taken, hold.slots, strict=True):
            account.holds -= 1
            account.close(slot, reserved, amounts[claim.measure])

    def _add(self, claim: Claim, now: float) -> Account:
        self._added += 1
        account = self._accounts[claim.account] = new_account(claim, now)
        return account

    def _sweep(self, now: float) -> None:
        """Give up old holds and forget idle accounts. Called only before a decision looks at any."""
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.expires_at > now:
                break
            del self._open[oldest.id]
            self._close(oldest, Need())
        # Each new account pays for a look at the two that waited longest, so no call pays for all.
        for _ in range(min(2 * self._added, _LOOKS, len(self._accounts))):
            name, account = self._accounts.popitem(last=False)
            if not account.is_idle(now):
                self._accounts[name] = account
        self._added = max(0, self._added - _LOOKS // 2)


def _amounts(need: Need) -> dict[Measure, int]:
    """Return what a request needs of each measure."""
    return {
        "requests": 1,
        "tokens": max(0, need.tokens),
        "usd": max(0, need.nanousd),
        "concurrent": 1,
    }


def _refusal(asked: list[_Asked], refused: list[Claim], now: float) -> Exception:
    standings: list[Standing] = []
    reasons: list[tuple[Standing, int]] = []
    for claim, account, amount in asked:
        if claim not in refused:
            standings.append(standing(claim, account, now))
            continue
        stands = standing(claim, account, now, account.opens_in(claim, amount, now))
        standings.append(stands)
        reasons.append((stands, amount))
    return refusal(reasons, standings, now)

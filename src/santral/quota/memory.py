"""Limits in the memory of one process: no round trip, and no second process to agree with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date

from santral.errors import Overloaded
from santral.quota.account import SECONDS_PER_DAY, Account
from santral.quota.answer import rate_headers, refusal
from santral.quota.limit import Scope, ScopeLimits
from santral.quota.limiter import Hold

#: After this long a hold that nobody settled is given up. Chosen: longer than any request may run
#: under the default timeouts, so that only a defect leaves one behind.
HOLD_S = 3600.0

#: Holds open at once; beyond it requests are refused. Chosen: far above ``server.max_in_flight``.
MAX_HOLDS = 100_000

#: Idle scopes looked for in one sweep at most: some microseconds. Chosen.
_LOOKS = 16

_EPOCH = date(1970, 1, 1).toordinal()


class MemoryHold(Hold):
    """A hold that knows its accounts."""

    __slots__ = ("accounts", "clock")

    def __init__(
        self,
        id_: int,
        scopes: Sequence[ScopeLimits],
        tokens: int,
        day: int,
        expires_at: float,
        accounts: list[Account],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(id_, scopes, tokens, day, expires_at)
        self.accounts = accounts
        self.clock = clock

    def headers(self) -> dict[str, str]:
        """Return OpenAI's ``x-ratelimit-*`` of the tightest scope, as things stand now."""
        return rate_headers(self.scopes, self.accounts, self.clock())


class MemoryLimiter:
    """Token buckets and daily counters by scope. Every decision runs without a pause in between.

    ``clock`` returns seconds since 1970. A clock that goes back refills nothing and ends no day.
    """

    def __init__(
        self, clock: Callable[[], float], *, hold_s: float = HOLD_S, max_holds: int = MAX_HOLDS
    ) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._max_holds = max_holds
        self._accounts: OrderedDict[Scope, Account] = OrderedDict()
        self._open: OrderedDict[int, MemoryHold] = OrderedDict()  # oldest first: all last as long
        self._last_id = 0
        self._day = 0  # the UTC day that runs, in days since 1970
        self._added = 0  # scopes added since the last sweep

    @property
    def open_holds(self) -> int:
        """How many requests hold something now."""
        return len(self._open)

    @property
    def known_scopes(self) -> int:
        """How many scopes are remembered: those with a hold, with use today, or lately active."""
        return len(self._accounts)

    async def reserve(self, scopes: Sequence[ScopeLimits], tokens: int) -> MemoryHold:
        """Admit one request of at most ``tokens`` under every scope, or reserve nothing at all.

        The scopes are distinct. What is reserved counts on the UTC day of this call.

        Raises:
            QuotaExceeded: a limit is used up.
            Overloaded: more holds are open than a process should ever have.
        """
        now = self._clock()
        if self._open or self._added:
            self._sweep(now)
        day = self._today(now)
        if tokens < 0:
            tokens = 0
        accounts: list[Account] = []
        for scope, limits in scopes:
            account = self._accounts.get(scope) or self._add(scope, now)
            accounts.append(account)
            if not account.has_room(limits, tokens, now, day):
                asked = [self._account(scope, now) for scope, _ in scopes]
                raise refusal(scopes, asked, tokens, now, day)
        if len(self._open) >= self._max_holds:
            raise Overloaded(f"{self._max_holds} requests are open here. Try again in a moment.")
        for account in accounts:
            account.take(tokens)
        self._last_id = id_ = self._last_id + 1
        expires_at = now + self._hold_s
        hold = MemoryHold(id_, scopes, tokens, day, expires_at, accounts, self._clock)
        self._open[id_] = hold
        return hold

    async def settle(self, hold: Hold, tokens: int) -> None:
        """Replace what ``hold`` reserved by the ``tokens`` used. A second call changes nothing.

        What was used counts even where it is more than was reserved, or the hold had expired.
        """
        if hold.is_closed:
            return
        hold.is_closed = True
        found = self._open.pop(hold.id, None)
        if found is None:
            self._settle_late(hold, tokens)
            return
        for account in found.accounts:
            account.give_back(hold.day, hold.tokens, max(0, tokens))

    async def release(self, hold: Hold) -> None:
        """Give back the tokens that ``hold`` reserved. After ``settle``, or twice, nothing changes.

        The request itself stays counted in the rate.
        """
        await self.settle(hold, 0)

    def seed(self, scope: Scope, day: date, tokens: int) -> None:
        """Tell what the ledger says ``scope`` used on ``day``; it never lowers what is known.

        The ledger is behind by what the spool still holds, so the larger of both is nearer.
        """
        now = self._clock()
        account = self._account(scope, now)
        account.begin_day(self._today(now))
        if account.day == day.toordinal() - _EPOCH:
            account.spent = max(account.spent, tokens)

    def used_today(self, scope: Scope) -> tuple[int, int]:
        """Return the tokens spent and reserved under ``scope`` on the present UTC day."""
        now = self._clock()
        self._sweep(now)
        account = self._accounts.get(scope)
        if account is None:
            return 0, 0
        account.begin_day(self._today(now))
        return account.spent, account.reserved

    def _account(self, scope: Scope, now: float) -> Account:
        return self._accounts.get(scope) or self._add(scope, now)

    def _add(self, scope: Scope, now: float) -> Account:
        self._added += 1
        account = self._accounts[scope] = Account(now)
        return account

    def _today(self, now: float) -> int:
        day = int(now // SECONDS_PER_DAY)
        if day > self._day:
            self._day = day
        return self._day

    def _sweep(self, now: float) -> None:
        """Give up old holds and forget idle scopes. Called only before a decision looks at any."""
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.expires_at > now:
                break
            del self._open[oldest.id]
            for account in oldest.accounts:
                account.give_back(oldest.day, oldest.tokens, 0)
        # Each new scope pays for a look at the two that waited longest, so no call pays for all.
        for _ in range(min(2 * self._added, _LOOKS, len(self._accounts))):
            scope, account = self._accounts.popitem(last=False)
            if not account.is_idle(now, self._day):
                self._accounts[scope] = account
        self._added = max(0, self._added - _LOOKS // 2)

    def _settle_late(self, hold: Hold, tokens: int) -> None:
        now = self._clock()
        for scope, _ in hold.scopes:
            account = self._account(scope, now)
            account.begin_day(self._day)
            if account.day == hold.day:
                account.spent += max(0, tokens)

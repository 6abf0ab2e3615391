"""Waiting for room in place of a refusal, where a limit lets requests wait: the urgent ones first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from typing import Literal

from santral.errors import QuotaExceeded
from santral.quota.account import SOON_S
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold, Limiter

Priority = Literal["interactive", "batch"]
_RANK: dict[Priority, int] = {"interactive": 0, "batch": 1}

#: The first of a line looks at least so often whether there is room, in seconds: another worker may
#: have made some. Chosen.
_LOOK_EVERY_S = 0.1


class _Waiter:
    __slots__ = ("account", "rank", "serial", "turn")

    def __init__(self, rank: int, serial: int) -> None:
        self.account = ""
        self.rank = rank
        self.serial = serial
        self.turn = asyncio.Event()

    def __lt__(self, other: _Waiter) -> bool:
        return (self.rank, self.serial) < (other.rank, other.serial)


class WaitingLine:
    """A limiter whose refusals wait. A line for each account that is full, bounded for all together."""

    def __init__(self, limiter: Limiter, max_waiting: int) -> None:
        self._limiter = limiter
        self._max_waiting = max_waiting
        self._lines: dict[str, list[_Waiter]] = {}
        self._serial = 0
        self.waiting = 0  # now
        self.turned_away = 0  # refused since too many wait

    async def reserve(
        self, claims: Sequence[Claim], need: Need, priority: Priority = "interactive"
    ) -> Hold:
        """Admit one request, perhaps after it waited as long as the limit in its way lets it.

        Raises:
            QuotaExceeded: there was no room in that time, or too many wait.
        """
        ahead = self._line_ahead(claims, _RANK[priority]) if self._lines else None
        if ahead is None:
            try:
                return await self._limiter.reserve(claims, need)
            except QuotaExceeded as error:
                if not _may_wait(error):
                    raise
                refusal = error
            account, patience_s = refusal.account, refusal.patience_s
        else:
            refusal, account, patience_s = None, ahead.account, ahead.rule.wait_s
        if self.waiting >= self._max_waiting:
            self.turned_away += 1
            if refusal is not None:
                raise refusal
            return await self._limiter.reserve(claims, need)  # refused by its limit, most likely
        return await self._wait(claims, need, account, patience_s, _RANK[priority])

    async def extend(self, hold: Hold, need: Need) -> None:
        """Reserve more for another attempt; nobody waits for that.

        Raises:
            QuotaExceeded: there is no room.
        """
        await self._limiter.extend(hold, need)

    async def settle(self, hold: Hold, used: Need) -> None:
        """Replace what was reserved by what was used; who waits looks again."""
        await self._limiter.settle(hold, used)
        self._wake()

    async def release(self, hold: Hold) -> None:
        """Give back what was reserved; who waits looks again."""
        await self._limiter.release(hold)
        self._wake()

    async def _wait(
        self, claims: Sequence[Claim], need: Need, account: str, patience_s: float, rank: int
    ) -> Hold:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + patience_s
        self._serial += 1
        me = _Waiter(rank, self._serial)
        self._join(me, account)
        try:
            while True:
                me.turn.clear()  # before the look: room that comes during it is not missed
                pause_s = ends_at - loop.time()
                if self._lines[me.account][0] is me or pause_s <= 0:
                    try:
                        return await self._limiter.reserve(claims, need)
                    except QuotaExceeded as error:
                        if pause_s <= 0 or not _may_wait(error):
                            raise
                        pause_s = min(pause_s, _LOOK_EVERY_S, max(0.001, error.retry_after_s or 0))
                        if error.account != me.account:  # who waits here need not wait for that
                            self._leave(me)
                            self._join(me, error.account)
                await _turn(me, pause_s)
        finally:
            self._leave(me)

    def _join(self, me: _Waiter, account: str) -> None:
        me.account = account
        heapq.heappush(self._lines.setdefault(account, []), me)
        self.waiting += 1

    def _leave(self, me: _Waiter) -> None:
        line = self._lines[me.account]
        line.remove(me)
        heapq.heapify(line)
        self.waiting -= 1
        if line:
            line[0].turn.set()
        else:
            del self._lines[me.account]

    def _line_ahead(self, claims: Sequence[Claim], rank: int) -> Claim | None:
        """Return the claim at whose account others wait that this request must not overtake."""
        for claim in claims:
            line = self._lines.get(claim.account)
            if line and line[0].rank <= rank and claim.rule.wait_s > 0:
                return claim
        return None

    def _wake(self) -> None:
        for line in self._lines.values():
            line[0].turn.set()


async def _turn(me: _Waiter, pause_s: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, pause_s)):
            await me.turn.wait()
    except TimeoutError:
        pass


def _may_wait(error: QuotaExceeded) -> bool:
    """Whether waiting may help: the limit lets it, and begins anew or is held within that time."""
    if error.patience_s <= 0:
        return False
    # Where running requests alone are in the way one may end at any time: the second is a hint.
    return (error.retry_after_s or 0.0) <= max(error.patience_s, SOON_S)

"""What this worker has reserved and used lately: told again to a Redis that has lost its memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from msgspec import Struct

from santral.quota.limiter import Hold

#: Settlements remembered until the ledger has them. Chosen: at 1,000 requests/s what a collector
#: that is half a minute behind has not billed yet.
MAX_SETTLED = 50_000


class Amount(Struct, frozen=True, array_like=True):
    """So much of one account, in one field of it."""

    group: str
    key: str
    field: str
    amount: int
    lasts_ms: int


class Settled(Struct, frozen=True, array_like=True):
    """What one request has used."""

    id: str
    at: float  # seconds since 1970
    amounts: Sequence[Amount]


class Journal:
    """Open holds, and settlements that the ledger may not have yet."""

    def __init__(self) -> None:
        self.open: OrderedDict[str, tuple[Hold, Sequence[Amount]]] = OrderedDict()  # oldest first
        self._settled: deque[Settled] = deque()
        self.dropped = 0

    def settled(self, made: Settled) -> None:
        """Remember a settlement; the oldest one goes when there are too many, and is counted."""
        if len(self._settled) >= MAX_SETTLED:
            self._settled.popleft()
            self.dropped += 1
        self._settled.append(made)

    def forget(self, before: float) -> None:
        """Forget what was used before a moment, in seconds since 1970: the ledger has it."""
        while self._settled and self._settled[0].at < before:
            self._settled.popleft()

    def unbilled(self) -> list[Settled]:
        """Return what the ledger may not have."""
        return list(self._settled)

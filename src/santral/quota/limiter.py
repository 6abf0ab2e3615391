"""The decision about one request: reserve the worst case before the call, settle after it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date
from typing import Protocol

from santral.quota.limit import Scope, ScopeLimits


class Hold(ABC):
    """What one admitted request has reserved; settle or release it, else it expires by itself."""

    __slots__ = ("day", "expires_at", "id", "is_closed", "scopes", "tokens")

    def __init__(
        self, id_: int, scopes: Sequence[ScopeLimits], tokens: int, day: int, expires_at: float
    ) -> None:
        self.id = id_
        self.scopes = scopes
        self.tokens = tokens
        self.day = day  # UTC days since 1970: what it uses counts on the day it began
        self.expires_at = expires_at
        self.is_closed = False

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """Return OpenAI's ``x-ratelimit-*`` of the tightest scope, as things stand now."""


class Limiter(Protocol):
    """Keeps every scope within its limits. One decision is atomic over all scopes of a request."""

    async def reserve(self, scopes: Sequence[ScopeLimits], tokens: int) -> Hold:
        """Admit one request of at most ``tokens`` under every scope, or reserve nothing at all.

        Raises:
            QuotaExceeded: a limit is used up; its headers and ``retry_after_s`` say till when.
        """
        ...

    async def settle(self, hold: Hold, tokens: int) -> None:
        """Replace what ``hold`` reserved by the ``tokens`` used. A second call changes nothing."""
        ...

    async def release(self, hold: Hold) -> None:
        """Give back what ``hold`` reserved. After ``settle``, or twice, it changes nothing."""
        ...

    def seed(self, scope: Scope, day: date, tokens: int) -> None:
        """Tell what the ledger says ``scope`` used on ``day``; it never lowers what is known."""
        ...

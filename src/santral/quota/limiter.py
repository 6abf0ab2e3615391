"""The decision about one request: reserve the worst case before the call, settle after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from santral.quota.answer import Standing, limit_headers
from santral.quota.claim import Claim, Need


class Hold:
    """What one admitted request has reserved; settle or release it, else it expires by itself."""

    __slots__ = (
        "claims",
        "expires_at",
        "fall_to",
        "id",
        "is_closed",
        "need",
        "now",
        "slots",
        "standings",
    )

    def __init__(
        self,
        id_: str,
        claims: Sequence[Claim],
        slots: Sequence[int],
        need: Need,
        expires_at: float,
    ) -> None:
        self.id = id_
        self.claims = claims  # those that took something
        self.slots = slots  # the window, or part of one, that each took it from
        self.need = need
        self.expires_at = expires_at
        self.fall_to = ""  # the deployment that must answer: a limit of the route's own is used up
        self.is_closed = False
        self.standings: Sequence[Standing] = ()  # of every claim, after the decision
        self.now = 0.0

    def headers(self) -> dict[str, str]:
        """Return what the caller is told: ``x-ratelimit-*``, what is left of budgets, and warnings."""
        return limit_headers(self.standings, self.now)


class Limiter(Protocol):
    """Keeps every account within its limit. One decision is atomic over all claims of a request."""

    async def reserve(self, claims: Sequence[Claim], need: Need) -> Hold:
        """Admit one request of at most ``need`` under every claim, or reserve nothing at all.

        Raises:
            QuotaExceeded: a limit is used up; its headers and ``retry_after_s`` say till when.
            LimitsUnavailable: nobody can be asked, and a rule refuses while that is so.
            Overloaded: more holds are open than a process should ever have.
        """
        ...

    async def extend(self, hold: Hold, need: Need) -> None:
        """Reserve ``need`` more under a hold, or nothing at all: another attempt may use so much.

        Tokens and money grow in the slots that the hold has, and ``hold.need`` grows with them; a slot
        that has left takes anything. It is one request still, so requests and requests at once are
        not asked. A limit that would fall to another deployment refuses here: the hold is made. A
        hold that is closed or has expired is left alone.

        Raises:
            QuotaExceeded: there is no room under one of its limits; the hold is as it was.
            LimitsUnavailable: nobody can be asked, and a rule refuses while that is so.
        """
        ...

    async def settle(self, hold: Hold, used: Need) -> None:
        """Replace what ``hold`` reserved by what was used. A second call changes nothing."""
        ...

    async def release(self, hold: Hold) -> None:
        """Give back what ``hold`` reserved. After ``settle``, or twice, it changes nothing."""
        ...

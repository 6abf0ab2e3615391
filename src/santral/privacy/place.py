"""What a place is: somewhere that a person's words, name or number can stand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from msgspec import Struct, field

from santral.privacy.subject import Subject
from santral.tenants.tenant import TenantId


class Found(Struct, frozen=True, kw_only=True):
    """What of a person is in a place: their own things, mentions, and what a human has to decide."""

    own: Mapping[str, int] = field(default_factory=dict[str, int])  # by kind of thing
    mentions: int = 0  # in what other people said
    left: tuple[str, ...] = ()  # where it is and what to do; erasing leaves it alone

    @property
    def count(self) -> int:
        return sum(self.own.values()) + self.mentions


class Place(Protocol):
    """One row of the registry. Every method may be called again after a kill half-way."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """What is there and what erasing does to it, for the proof and the reference page."""
        ...

    @property
    def tables(self) -> frozenset[str]:
        """The tables it answers for, as ``database.ledger`` or ``telemetry.traces``."""
        ...

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count what of the person is here."""
        ...

    def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield what is the person's own, as values that JSON can say."""
        ...

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Take all of it out; what ``find`` counts afterwards is in the proof."""
        ...

"""One HTTP request as a dialect gets it, and what writes its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from santral.errors import SantralError
from santral.wire.delta import Delta
from santral.wire.usage import Usage


class Inbound(Struct, frozen=True, kw_only=True):
    """One HTTP request, its body read whole; ``parts`` are what its path pattern named."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    query: bytes = b""
    parts: Mapping[str, str] = field(default_factory=dict[str, str])

    def header(self, name: bytes) -> str:
        """Return a header's value, or an empty string."""
        value = self.headers.get(name)
        return "" if value is None else value.decode("latin-1")


class Writer(Protocol):
    """Writes one answer in its caller's dialect; made for each answer, and told of it in order."""

    def write(self, delta: Delta) -> bytes:
        """Return the events that say ``delta`` in a stream; empty where nothing is to be said yet.

        The response begins with the first bytes, so nothing may be returned that only announces.
        """
        ...

    async def end(self, usage: Usage | None) -> bytes:
        """Return what ends a stream, also one without a single event before."""
        ...

    def fail(self, error: SantralError) -> bytes:
        """Return the last event of a stream that failed after it had begun."""
        ...

    async def whole(self, deltas: Sequence[Delta], usage: Usage | None) -> bytes:
        """Return the body of an answer that is not streamed."""
        ...

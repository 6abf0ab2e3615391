"""Calls that are not sent now: a batch collects their bytes, and later delivers their answers.

Everything above the HTTP client stays as it is. While a batch collects, the client keeps what a
dialect wanted to send and stops there; while it delivers, the client answers with what the provider's
batch said. So every dialect can be batched without knowing it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar

from santral.config.upstreams import TimeoutsConfig
from santral.errors import SantralError
from santral.providers.upstream import UpstreamClient, UpstreamResponse


class Deferred(SantralError):
    """A call was collected instead of sent. Nobody outside sees it."""


class Slot:
    """One request of a batch: empty while it is collected, with an answer while that is delivered."""

    __slots__ = ("_answer", "_is_taken", "body", "is_collecting", "url")

    def __init__(self, status: int = 0, answer: bytes = b"") -> None:
        """With a status the slot delivers; without one it collects."""
        self._answer = (status, answer) if status else None
        self.is_collecting = not status
        self._is_taken = False
        self.url = ""
        self.body = b""

    @property
    def delivers(self) -> bool:
        """Whether an answer waits here that nobody has taken."""
        return self._answer is not None and not self._is_taken

    def collect(self, url: str, body: bytes) -> Deferred:
        """Keep a call; return what to raise."""
        self.url, self.body = url, body
        return Deferred("The call was put into a batch.")

    def take(self) -> UpstreamResponse:
        """Return the answer; a further call of the same request is sent as usual."""
        assert self._answer is not None  # noqa: S101 - only asked where it delivers
        self._is_taken = True
        return _Delivered(*self._answer)

    def was_taken(self) -> bool:
        """Whether the attempt that asks was answered from here; says so once."""
        taken, self._is_taken = self._is_taken, False
        if taken:
            self._answer = None
        return taken


#: The slot of the request that the running task works on, if it is one of a batch.
SLOT: ContextVar[Slot | None] = ContextVar("batch_slot", default=None)


class DeferringClient:
    """An upstream client that looks for a slot before it sends. Costs 0.05 us a call."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutsConfig,
        *,
        is_streaming: bool = False,
    ) -> UpstreamResponse:
        """Send ``body``; see ``UpstreamClient``.

        Raises:
            Deferred: a batch collected it.
        """
        slot = SLOT.get()
        if slot is not None and not is_streaming:
            if slot.delivers:
                return slot.take()
            if slot.is_collecting:
                raise slot.collect(url, body)
        return await self._client.post(url, headers, body, timeouts, is_streaming=is_streaming)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


class _Delivered:
    """An answer that came with a batch."""

    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    def delta_came(self) -> None:
        return

    async def finish(self) -> None:
        return

    async def close(self) -> None:
        return

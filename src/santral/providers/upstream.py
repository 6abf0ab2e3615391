"""What a dialect asks of an HTTP client: one POST, its answer in bytes, four clocks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from santral.config.upstreams import TimeoutsConfig


class UpstreamResponse(Protocol):
    """An answer whose head has come; ``close`` it on every path."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; look-ups ignore case."""
        ...

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            ProviderError: cut, too late, or larger than the client's bound.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, in no particular pieces; errors as in ``read``."""
        ...

    def delta_came(self) -> None:
        """Say that the answer moved on: from now on the clock between deltas runs, from zero."""
        ...

    async def finish(self) -> None:
        """The answer is complete: keep the connection for the next call if it can be kept."""
        ...

    async def close(self) -> None:
        """Close the connection at once unless the body was read to its end."""
        ...


class UpstreamClient(Protocol):
    """A pool of connections to providers. Follows no redirects and reads no proxy settings."""

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutsConfig,
        *,
        is_streaming: bool = False,
    ) -> UpstreamResponse:
        """Send ``body`` and return once the answer's head is there.

        The clocks: connect, total, and for a stream first delta and between deltas. A whole answer
        has one delta, its end, so there ``total_s`` alone decides.

        Raises:
            ProviderUnreachable: no connection, or it closed before the head.
            ProviderTimeout: a clock ran out; ``phase`` is connect, first_delta, between_deltas or
                total.
            ProviderGarbled: the head is not HTTP, or larger than the bound.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

"""One answer of a provider while it is read: whatever happens, nothing of it stays open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

from santral.errors import ProviderError
from santral.providers.keys import KeyRotation, ProviderKey
from santral.providers.upstream import UpstreamResponse


class Reader(Protocol):
    """What reads the bytes of an answer."""

    @property
    def is_finished(self) -> bool:
        """Whether the answer said that it is whole, although bytes may follow."""
        ...


class Exchange:
    """An answer with status 200 and the key that it took, as a context manager.

    A block that ends well keeps the connection for the next call; an error closes it. A key that is
    refused or throttled inside the 200 rests as one that is refused with a status.
    """

    __slots__ = ("_chunks", "_keys", "_model", "key", "response")

    def __init__(
        self, response: UpstreamResponse, key: ProviderKey, keys: KeyRotation, model: str
    ) -> None:
        self.response = response
        self.key = key
        self._keys = keys
        self._model = model
        self._chunks: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.response.finish()
            elif isinstance(error, ProviderError):
                self._keys.failed(self.key, error, self._model)
        finally:
            await self.response.close()

    @property
    def is_event_stream(self) -> bool:
        """Whether the answer comes as server-sent events, whatever was asked for."""
        kind = self.response.headers.get("content-type", "")
        return kind.lstrip().lower().startswith("text/event-stream")

    async def next(self, reader: Reader) -> bytes | None:
        """Return the next bytes, or None at their end.

        An answer that is whole may be cut or fall silent: that is an end as any other.

        Raises:
            ProviderError: cut or too late, and not whole.
        """
        if self._chunks is None:
            self._chunks = self.response.chunks()
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            return None
        except ProviderError:
            if not reader.is_finished:
                raise
            return None

    def delta_came(self) -> None:
        """Say that the answer moved on; see ``UpstreamResponse``."""
        self.response.delta_came()

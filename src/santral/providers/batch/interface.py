"""Batches at providers: many calls at half the price, answered within a day.

One class a vendor; all of them take the very bytes that the dialect would have sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from santral.errors import ProviderError, ProviderGarbled, ProviderUnreachable
from santral.providers.connection import Connection
from santral.providers.openai.error import refusal

T = TypeVar("T")

#: How long one call about a batch may take, in seconds. Chosen: files of many megabytes travel.
CALL_S = 300.0
#: Most bytes of one provider's batch. Specified: OpenAI 200 MB, Anthropic 256 MB, Gemini 20 MB inline.
MAX_BYTES = 100 * 1024 * 1024


class BatchCall(Struct, frozen=True, kw_only=True):
    """One call of a batch: where the dialect would have sent it, and what."""

    id: str  # ours: letters, digits, - and _, at most 64, as Anthropic demands
    url: str
    body: bytes


class BatchAnswer(Struct, frozen=True):
    """What a provider's batch answered to one call."""

    status: int
    body: bytes


#: The call was not answered and may be asked for again, one by one.
UNANSWERED = BatchAnswer(
    503, b'{"error":{"message":"The provider\'s batch did not answer this call."}}'
)


class ProviderBatches(Protocol):
    """The batch interface of one vendor."""

    @property
    def max_bytes(self) -> int:
        """Most bytes of calls in one batch."""
        ...

    async def submit(self, calls: Sequence[BatchCall], mark: str) -> str:
        """Begin a batch of calls to one endpoint and model; return the provider's id of it.

        Raises:
            ProviderError: the provider did not take it.
        """
        ...

    async def find(self, mark: str) -> str:
        """Return the id of the batch that was begun with ``mark``, or nothing: after a crash."""
        ...

    async def is_over(self, reference: str) -> bool:
        """Whether every call has been answered, or never will be."""
        ...

    async def answers(self, reference: str) -> dict[str, BatchAnswer]:
        """Return the answers by our id; those that are missing were not answered."""
        ...

    async def cancel(self, reference: str) -> None:
        """Ask the provider to end the batch."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class BatchHttp:
    """HTTP for what is not on any request's path: aiohttp's session, made when first needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        shape: type[T],
        method: str,
        url: str,
        *,
        body: object = None,
        form: aiohttp.FormData | None = None,
    ) -> T:
        """Send one call and return its answer in the shape it should have.

        Raises:
            ProviderGarbled: it has another one.
            ProviderError: as ``bytes``.
        """
        return read_as(shape, await self.bytes(method, url, body=body, form=form))

    async def bytes(
        self, method: str, url: str, *, body: object = None, form: aiohttp.FormData | None = None
    ) -> bytes:
        """Send one call and return its body.

        Raises:
            ProviderError: another status than 200, no connection, too late.
        """
        key = self._connection.keys.take()
        headers = {name: value for name, value in key.headers.items() if name not in _OF_JSON}
        data: aiohttp.FormData | bytes | None = form
        if body is not None:
            data, headers["content-type"] = msgspec.json.encode(body), "application/json"
        try:
            session = self._opened()
            async with session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.read()
                if answer.status >= 300:
                    raise _refused(answer, content, key.secret)
                return content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnreachable(
                f"The provider's batch interface does not answer: {type(error).__name__}."
            ) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # aiohttp closes transports on the next turn of the loop

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=CALL_S, connect=10)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        return self._session


def read_as(shape: type[T], data: bytes) -> T:
    """Return JSON in the shape it should have.

    Raises:
        ProviderGarbled: it has another one.
    """
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderGarbled(f"The provider's batch interface answered oddly: {error}.") from None


_OF_JSON = ("content-type", "accept")


def _refused(answer: aiohttp.ClientResponse, body: bytes, secret: str) -> ProviderError:
    headers: Mapping[str, str] = answer.headers
    return refusal(answer.status, headers, body, now=0.0, secret=secret)


#: How a vendor's batches are made from its connection.
Maker = Callable[[Connection], ProviderBatches]

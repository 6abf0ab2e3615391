"""OpenAI's Responses protocol, as OpenAI, Azure and compatible servers speak it.

Every call brings its whole conversation and is kept by nobody but us. Source:
https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

import msgspec

from santral.errors import ProviderBusy, ProviderError, ProviderRefusedKey
from santral.providers.connection import Connection
from santral.providers.estimate import estimate_usage
from santral.providers.keys import ProviderKey
from santral.providers.openai.error import refusal
from santral.providers.provider import ChatOnly, ProviderCall
from santral.providers.responses.answer import ResponsesReader
from santral.providers.responses.request import request_body
from santral.providers.upstream import UpstreamResponse
from santral.wire.delta import Delta
from santral.wire.sse import SseDecoder


class ResponsesProvider(ChatOnly):
    """Sends calls to one server of this protocol and reads its answers as deltas."""

    def __init__(
        self,
        connection: Connection,
        *,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
    ) -> None:
        self._connection = connection
        self._url = f"{connection.base_url}/responses"
        self._wall_clock = wall_clock

    def __repr__(self) -> str:
        return f"ResponsesProvider({self._connection.base_url!r})"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        response, key = await self._connection.post(
            self._url,
            request_body(call),
            call.timeouts,
            self._refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more={"traceparent": call.traceparent} if call.traceparent else None,
        )
        reader = ResponsesReader(secret=key.secret)
        last: Delta | None = None
        try:
            if _is_event_stream(response.headers):
                decoder, chunks = SseDecoder(), response.chunks()
                while not reader.is_over:
                    for last in await _pull(chunks, decoder, response, reader):
                        yield last
            else:
                for last in reader.read_whole(await response.read()):
                    yield last
            if last is not None and last.usage is None:
                usage = estimate_usage(call.fields, reader.said_bytes)
                yield msgspec.structs.replace(last, choices=(), usage=usage)
            await response.finish()
        except (ProviderBusy, ProviderRefusedKey) as error:  # inside the 200
            self._connection.keys.failed(key, error, call.model)
            raise
        finally:
            await response.close()

    async def _refusal(self, response: UpstreamResponse, key: ProviderKey) -> ProviderError:
        return refusal(
            response.status,
            response.headers,
            await response.read(),
            now=self._wall_clock(),
            secret=key.secret,
        )


async def _pull(
    chunks: AsyncIterator[bytes],
    decoder: SseDecoder,
    response: UpstreamResponse,
    reader: ResponsesReader,
) -> list[Delta]:
    """Return the deltas of the next bytes."""
    try:
        data = await anext(chunks)
    except StopAsyncIteration:
        reader.end()
        return []
    deltas = [delta for event in decoder.feed(data) for delta in reader.feed(event)]
    if deltas and reader.has_started:
        response.delta_came()
    return deltas


def _is_event_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lstrip().lower().startswith("text/event-stream")

"""OpenAI's Responses protocol, as OpenAI, Azure and compatible servers speak it.

Every call brings its whole conversation and is kept by nobody but us. Source:
https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from santral.providers.connection import Connection
from santral.providers.estimate import estimate_usage
from santral.providers.exchange import Exchange
from santral.providers.openai.error import refusal
from santral.providers.provider import ChatOnly, ProviderCall
from santral.providers.responses.answer import ResponsesReader
from santral.providers.responses.request import request_body
from santral.wire.delta import Delta
from santral.wire.sse import SseDecoder


class ResponsesProvider(ChatOnly):
    """Sends calls to one server of this protocol and reads its answers as deltas."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._url = f"{connection.base_url}/responses"

    def __repr__(self) -> str:
        return f"ResponsesProvider({self._connection.base_url!r})"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        async with await self._connection.post(
            self._url,
            request_body(call),
            call.timeouts,
            refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more={"traceparent": call.traceparent} if call.traceparent else None,
        ) as exchange:
            reader = ResponsesReader(secret=exchange.key.secret)
            last: Delta | None = None
            if exchange.is_event_stream:
                decoder = SseDecoder()
                while not reader.is_finished:
                    for last in _read(await exchange.next(reader), decoder, exchange, reader):
                        yield last
            else:
                for last in reader.read_whole(await exchange.response.read()):
                    yield last
            if last is not None and last.usage is None:
                usage = estimate_usage(call.fields, reader.said_bytes)
                yield msgspec.structs.replace(last, choices=(), usage=usage)


def _read(
    data: bytes | None, decoder: SseDecoder, exchange: Exchange, reader: ResponsesReader
) -> list[Delta]:
    """Return the deltas of the next bytes."""
    if data is None:
        reader.end()
        return []
    deltas = [delta for event in decoder.feed(data) for delta in reader.feed(event)]
    if deltas and reader.has_started:
        exchange.delta_came()
    return deltas

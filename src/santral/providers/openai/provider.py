"""The dialect of OpenAI's chat completions, as OpenAI and its many imitators speak it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from santral.providers.connection import Connection
from santral.providers.estimate import estimate_input
from santral.providers.exchange import Exchange
from santral.providers.openai.answer import read_whole
from santral.providers.openai.chunk import ChunkReader
from santral.providers.openai.error import refusal
from santral.providers.openai.request import RequestWriter
from santral.providers.provider import ChatOnly, ProviderCall
from santral.wire.delta import Delta
from santral.wire.render import fold, unfold
from santral.wire.usage import BYTES_PER_TOKEN, Usage


class OpenAIProvider(ChatOnly):
    """Sends calls to one endpoint of this dialect and reads its answers as deltas."""

    def __init__(self, connection: Connection) -> None:
        """The vendor's quirks come with the connection, see ``Vendor``."""
        self._connection = connection
        self._writer = RequestWriter(connection.vendor)
        self._url = f"{connection.base_url}/chat/completions"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def address(self, model: str) -> str:
        """Return where conversations with a model are asked for."""
        del model  # it goes into the body
        return self._url

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        async with await self._connection.post(
            self.address(call.model),
            self._writer.write(call),
            call.timeouts,
            refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more={"traceparent": call.traceparent} if call.traceparent else None,
        ) as exchange:
            if not (call.is_streaming and exchange.is_event_stream):
                for delta in await self._at_once(exchange, call):
                    yield delta
                return
            # The loop stands here and not in a generator of its own: a layer less per delta.
            reader = self._reader(exchange)
            while not reader.is_over:
                for delta in _read(await exchange.next(reader), exchange, reader):
                    yield delta
            for delta in _end(reader, call):
                yield delta

    def _reader(self, exchange: Exchange) -> ChunkReader:
        null_roles = self._connection.vendor.null_roles
        return ChunkReader(secret=exchange.key.secret, null_roles=null_roles)

    async def _at_once(self, exchange: Exchange, call: ProviderCall) -> list[Delta]:
        """Return an answer that is not to be streamed, or that the provider did not stream."""
        if exchange.is_event_stream:
            return [await self._folded(exchange, call)]
        whole = read_whole(await exchange.response.read(), secret=exchange.key.secret)
        if whole.usage is None:
            whole = msgspec.structs.replace(whole, usage=_estimated(whole, call))
        return unfold(whole) if call.is_streaming else [whole]

    async def _folded(self, exchange: Exchange, call: ProviderCall) -> Delta:
        """Return as a whole what came as a stream although none was asked for."""
        reader = self._reader(exchange)
        deltas: list[Delta] = []
        while not reader.is_over:
            deltas += _read(await exchange.next(reader), exchange, reader)
        return fold(deltas + _end(reader, call))


def _read(data: bytes | None, exchange: Exchange, reader: ChunkReader) -> list[Delta]:
    """Return the deltas of the next bytes."""
    if data is None:
        return reader.end_bytes()
    deltas = reader.feed(data)
    if deltas and reader.has_started:
        exchange.delta_came()
    return deltas


def _end(reader: ChunkReader, call: ProviderCall) -> list[Delta]:
    return reader.end(lambda: estimate_input(call.fields))


def _estimated(whole: Delta, call: ProviderCall) -> Usage:
    size = 0
    for choice in whole.choices:
        size += len((choice.text + choice.reasoning + choice.refusal).encode())
        size += sum(len(call.name) + len(call.arguments) for call in choice.tool_calls)
    return Usage(
        input_uncached=estimate_input(call.fields),
        output_text=int(size / BYTES_PER_TOKEN) + 1,
        is_estimated=True,
    )

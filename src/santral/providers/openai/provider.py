"""The dialect of OpenAI's chat completions, as OpenAI and its many imitators speak it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

import msgspec

from santral.errors import ProviderBusy, ProviderError, ProviderRefusedKey
from santral.providers.connection import Connection
from santral.providers.estimate import estimate_input
from santral.providers.keys import ProviderKey
from santral.providers.openai.answer import read_whole
from santral.providers.openai.chunk import ChunkReader
from santral.providers.openai.error import refusal
from santral.providers.openai.request import RequestWriter
from santral.providers.provider import ChatOnly, ProviderCall
from santral.providers.upstream import UpstreamResponse
from santral.wire.delta import Delta
from santral.wire.render import fold, unfold
from santral.wire.usage import BYTES_PER_TOKEN, Usage


class OpenAIProvider(ChatOnly):
    """Sends calls to one endpoint of this dialect and reads its answers as deltas."""

    def __init__(
        self,
        connection: Connection,
        *,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
    ) -> None:
        """The vendor's quirks come with the connection, see ``Vendor``."""
        self._connection = connection
        self._writer = RequestWriter(connection.vendor)
        self._wall_clock = wall_clock
        self._url = f"{connection.base_url}/chat/completions"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def address(self, model: str) -> str:
        """Return where conversations with a model are asked for."""
        del model  # it goes into the body
        return self._url

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        response, key = await self._connection.post(
            self.address(call.model),
            self._writer.write(call),
            call.timeouts,
            self._refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more={"traceparent": call.traceparent} if call.traceparent else None,
        )
        try:
            if not (call.is_streaming and _is_event_stream(response.headers)):
                for delta in await self._at_once(response, call, key.secret):
                    yield delta
                return
            # The loop stands here and not in a generator of its own: a layer less per delta.
            reader = self._reader(key.secret)
            chunks = response.chunks()
            while not reader.is_over:
                for delta in await _pull(chunks, response, reader):
                    yield delta
            for delta in _end(reader, call):
                yield delta
            await response.finish()
        except (ProviderBusy, ProviderRefusedKey) as error:  # inside the 200
            self._connection.keys.failed(key, error, call.model)
            raise
        finally:
            await response.close()

    def _reader(self, secret: str) -> ChunkReader:
        return ChunkReader(secret=secret, null_roles=self._connection.vendor.null_roles)

    async def _refusal(self, response: UpstreamResponse, key: ProviderKey) -> ProviderError:
        return refusal(
            response.status,
            response.headers,
            await response.read(),
            now=self._wall_clock(),
            secret=key.secret,
        )

    async def _at_once(
        self, response: UpstreamResponse, call: ProviderCall, secret: str
    ) -> list[Delta]:
        """Return an answer that is not to be streamed, or that the provider did not stream."""
        if _is_event_stream(response.headers):
            return [await self._folded(response, call, secret)]
        whole = read_whole(await response.read(), secret=secret)
        if whole.usage is None:
            whole = msgspec.structs.replace(whole, usage=_estimated(whole, call))
        return unfold(whole) if call.is_streaming else [whole]

    async def _folded(self, response: UpstreamResponse, call: ProviderCall, secret: str) -> Delta:
        """Return as a whole what came as a stream although none was asked for."""
        reader = self._reader(secret)
        chunks = response.chunks()
        deltas: list[Delta] = []
        while not reader.is_over:
            deltas += await _pull(chunks, response, reader)
        return fold(deltas + _end(reader, call))


async def _pull(
    chunks: AsyncIterator[bytes], response: UpstreamResponse, reader: ChunkReader
) -> list[Delta]:
    """Return the deltas of the next bytes; none once the stream is over."""
    try:
        data = await chunks.__anext__()
    except StopAsyncIteration:
        return reader.end_bytes()
    except ProviderError:
        if not reader.is_finished:
            raise
        return reader.end_bytes()  # cut or silent after its end: the answer is whole all the same
    deltas = reader.feed(data)
    if deltas and reader.has_started:
        response.delta_came()
    return deltas


def _end(reader: ChunkReader, call: ProviderCall) -> list[Delta]:
    return reader.end(lambda: estimate_input(call.fields))


def _is_event_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lstrip().lower().startswith("text/event-stream")


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

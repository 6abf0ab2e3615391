"""The dialect of OpenAI's chat completions, as OpenAI and its many imitators speak it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from santral.errors import ProviderError
from santral.providers.estimate import estimate_input
from santral.providers.openai_answer import read_whole
from santral.providers.openai_chunk import ChunkReader
from santral.providers.openai_error import refusal
from santral.providers.provider import ChatOnly, ProviderCall
from santral.providers.upstream import UpstreamClient, UpstreamResponse
from santral.wire.delta import Delta
from santral.wire.render import fold, unfold
from santral.wire.usage import BYTES_PER_TOKEN, Usage

_encode = msgspec.json.Encoder().encode
_TRUE = Raw(b"true")
_WITH_USAGE = Raw(b'{"include_usage":true}')
_NO_RENAMES: Mapping[str, str] = {}


class OpenAIProvider(ChatOnly):
    """Sends calls to one endpoint of this dialect and reads its answers as deltas."""

    def __init__(
        self,
        client: UpstreamClient,
        url: str,
        headers: Mapping[str, str],
        *,
        secret: str = "",
        asks_usage: bool = True,
        renames: Mapping[str, str] = _NO_RENAMES,
        output_limit: str = "max_completion_tokens",
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
    ) -> None:
        """``url`` is the chat endpoint; ``secret`` is the key, kept out of every message.

        The rest are the vendor's quirks, see ``registry.Vendor``.
        """
        self._client = client
        self._url = url
        self._headers = dict(headers)
        self._secret = secret
        self._asks_usage = asks_usage
        self._renames = renames
        self._output_limit = output_limit
        self._wall_clock = wall_clock

    def __repr__(self) -> str:
        return f"OpenAIProvider({self._url!r})"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        response = await self._client.post(
            self._url,
            self._headers_of(call),
            self._body_of(call),
            call.timeouts,
            is_streaming=call.is_streaming,
        )
        try:
            if response.status != 200:
                raise await self._refusal(response)
            if not (call.is_streaming and _is_event_stream(response.headers)):
                for delta in await self._at_once(response, call):
                    yield delta
                return
            # The loop stands here and not in a generator of its own: a layer less per delta.
            reader = ChunkReader(secret=self._secret)
            chunks = response.chunks()
            while not reader.is_over:
                for delta in await _pull(chunks, response, reader):
                    yield delta
            for delta in _end(reader, call):
                yield delta
            await response.finish()
        finally:
            await response.close()

    def _headers_of(self, call: ProviderCall) -> Mapping[str, str]:
        if call.traceparent:
            return {**self._headers, "traceparent": call.traceparent}
        return self._headers

    def _body_of(self, call: ProviderCall) -> bytes:
        fields: dict[str, Any] = {**call.fields, "model": call.model}
        for name in call.native:
            call.losses.drop(name)
        if call.is_streaming:
            fields["stream"] = _TRUE
            if self._asks_usage:
                fields["stream_options"] = _with_usage(fields.get("stream_options"))
        else:
            fields.pop("stream", None)
            fields.pop("stream_options", None)  # OpenAI refuses it without a stream
        if call.max_output_tokens is not None:
            self._bound_output(fields, call.max_output_tokens)
        for name, vendors in self._renames.items():
            if name in fields:
                fields.setdefault(vendors, fields.pop(name))
        return _encode(fields)

    def _bound_output(self, fields: dict[str, Any], limit: int) -> None:
        """Keep the client's own output limit where it is stricter, under the name it chose."""
        is_set = False
        for name in ("max_completion_tokens", "max_tokens"):
            asked = _integer(fields.get(name))
            if asked is not None:
                is_set = True
                if asked > limit:
                    fields[name] = limit
        if not is_set:
            fields[self._output_limit] = limit

    async def _refusal(self, response: UpstreamResponse) -> ProviderError:
        body = await response.read()
        return refusal(
            response.status,
            response.headers,
            body,
            now=self._wall_clock(),
            secret=self._secret,
        )

    async def _at_once(self, response: UpstreamResponse, call: ProviderCall) -> list[Delta]:
        """Return an answer that is not to be streamed, or that the provider did not stream."""
        if _is_event_stream(response.headers):
            return [await self._folded(response, call)]
        whole = read_whole(await response.read(), secret=self._secret)
        if whole.usage is None:
            whole = msgspec.structs.replace(whole, usage=_estimated(whole, call))
        return unfold(whole) if call.is_streaming else [whole]

    async def _folded(self, response: UpstreamResponse, call: ProviderCall) -> Delta:
        """Return as a whole what came as a stream although none was asked for."""
        reader = ChunkReader(secret=self._secret)
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


def _integer(value: Any) -> int | None:
    if isinstance(value, Raw):
        value = msgspec.json.decode(value)
    return value if isinstance(value, int) else None


_options = msgspec.json.Decoder(dict[str, Any])


def _with_usage(options: Any) -> Any:
    """Return stream options that ask for usage and keep what else the client set."""
    if options is None:
        return _WITH_USAGE
    try:
        return {**_options.decode(_encode(options)), "include_usage": True}
    except msgspec.DecodeError:
        return _WITH_USAGE


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

"""The dialect of Anthropic's Messages API, as Anthropic and its imitators speak it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

import msgspec
from msgspec import Struct

from santral.errors import ProviderBusy, ProviderError, ProviderGarbled, ProviderRefusedKey
from santral.providers.anthropic.answer import AnswerReader
from santral.providers.anthropic.betas import allowed_betas
from santral.providers.anthropic.error import refusal
from santral.providers.anthropic.request import Request, write_count, write_request
from santral.providers.connection import Connection
from santral.providers.estimate import estimate_input
from santral.providers.keys import ProviderKey
from santral.providers.provider import Operation, ProviderCall, TaskAnswer, TaskCall
from santral.providers.upstream import UpstreamResponse
from santral.wire.delta import Delta
from santral.wire.usage import Usage

#: The version of the protocol that is spoken. 2026-10-21 refuses sampling parameters for every model,
#: also for those that take them. Source: platform.claude.com/docs/en/api/versioning
VERSION = "2023-06-01"


class _Count(Struct, frozen=True):
    input_tokens: int


_count = msgspec.json.Decoder(_Count)


class AnthropicProvider:
    """Sends calls to one endpoint of this dialect and reads its answers as deltas."""

    operations: frozenset[Operation] = frozenset({"chat", "count_tokens"})

    def __init__(
        self,
        connection: Connection,
        *,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
    ) -> None:
        self._connection = connection
        self._wall_clock = wall_clock
        self._url = f"{connection.base_url}/messages"

    def __repr__(self) -> str:
        return f"AnthropicProvider({self._url!r})"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas in the order of its blocks; see ``Provider``."""
        request = write_request(call)
        response, key = await self._connection.post(
            self._url,
            request.body,
            call.timeouts,
            self._refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more=_headers(call),
        )
        try:
            reader = self._reader(request, key)
            if _is_event_stream(response.headers):
                chunks = response.chunks()
                while not reader.is_over:
                    for delta in await _pull(chunks, response, reader):
                        yield delta
            else:
                for delta in reader.read_whole(await response.read()):
                    yield delta
            for delta in reader.end(lambda: estimate_input(call.fields)):
                yield delta
            await response.finish()
        except (ProviderBusy, ProviderRefusedKey) as error:  # inside the 200
            self._connection.keys.failed(key, error, call.model)
            raise
        finally:
            await response.close()

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Return ``{"input_tokens": n}`` as Anthropic counts them; it is not billed."""
        response, _ = await self._connection.post(
            f"{self._url}/count_tokens",
            write_count(call),
            call.timeouts,
            self._refusal,
            model=call.model,
            more=_traced(call.traceparent),
        )
        try:
            body = await response.read()
            await response.finish()
        finally:
            await response.close()
        try:
            _count.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProviderGarbled("The provider's answer is no count of tokens.") from None
        return TaskAnswer(body=body, usage=Usage())

    def _reader(self, request: Request, key: ProviderKey) -> AnswerReader:
        return AnswerReader(
            int(self._wall_clock()),
            secret=key.secret,
            custom_tools=request.custom_tools,
            answer_tool=request.answer_tool,
        )

    async def _refusal(self, response: UpstreamResponse, key: ProviderKey) -> ProviderError:
        return refusal(
            response.status,
            response.headers,
            await response.read(),
            now=self._wall_clock(),
            secret=key.secret,
        )


def _traced(traceparent: str) -> dict[str, str]:
    headers = {"anthropic-version": VERSION}
    return {**headers, "traceparent": traceparent} if traceparent else headers


def _headers(call: ProviderCall) -> dict[str, str]:
    headers = _traced(call.traceparent)
    betas = allowed_betas(call.caller_headers.get("anthropic-beta", ""), call.losses)
    return {**headers, "anthropic-beta": betas} if betas else headers


async def _pull(
    chunks: AsyncIterator[bytes], response: UpstreamResponse, reader: AnswerReader
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
    if reader.is_alive:
        response.delta_came()
    return deltas


def _is_event_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lstrip().lower().startswith("text/event-stream")

"""The dialect of Anthropic's Messages API, as Anthropic and its imitators speak it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec
from msgspec import Struct

from santral.errors import ProviderGarbled
from santral.providers.anthropic.answer import AnswerReader
from santral.providers.anthropic.betas import allowed_betas
from santral.providers.anthropic.error import refusal
from santral.providers.anthropic.request import Request, write_count, write_request
from santral.providers.connection import Connection
from santral.providers.estimate import estimate_input
from santral.providers.exchange import Exchange
from santral.providers.provider import Operation, ProviderCall, TaskAnswer, TaskCall
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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._url = f"{connection.base_url}/messages"

    def __repr__(self) -> str:
        return f"AnthropicProvider({self._url!r})"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas in the order of its blocks; see ``Provider``."""
        request = write_request(call)
        async with await self._connection.post(
            self._url,
            request.body,
            call.timeouts,
            refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more=_headers(call),
        ) as exchange:
            reader = self._reader(request, exchange)
            if exchange.is_event_stream:
                while not reader.is_over:
                    for delta in _read(await exchange.next(reader), exchange, reader):
                        yield delta
            else:
                for delta in reader.read_whole(await exchange.response.read()):
                    yield delta
            for delta in reader.end(lambda: estimate_input(call.fields)):
                yield delta

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Return ``{"input_tokens": n}`` as Anthropic counts them; it is not billed."""
        async with await self._connection.post(
            f"{self._url}/count_tokens",
            write_count(call),
            call.timeouts,
            refusal,
            model=call.model,
            more=_traced(call.traceparent),
        ) as exchange:
            body = await exchange.response.read()
        try:
            _count.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProviderGarbled("The provider's answer is no count of tokens.") from None
        return TaskAnswer(body=body, usage=Usage())

    def _reader(self, request: Request, exchange: Exchange) -> AnswerReader:
        return AnswerReader(
            int(self._connection.wall_clock()),
            secret=exchange.key.secret,
            custom_tools=request.custom_tools,
            answer_tool=request.answer_tool,
        )


def _traced(traceparent: str) -> dict[str, str]:
    headers = {"anthropic-version": VERSION}
    return {**headers, "traceparent": traceparent} if traceparent else headers


def _headers(call: ProviderCall) -> dict[str, str]:
    headers = _traced(call.traceparent)
    betas = allowed_betas(call.caller_headers.get("anthropic-beta", ""), call.losses)
    return {**headers, "anthropic-beta": betas} if betas else headers


def _read(data: bytes | None, exchange: Exchange, reader: AnswerReader) -> list[Delta]:
    """Return the deltas of the next bytes."""
    if data is None:
        return reader.end_bytes()
    deltas = reader.feed(data)
    if reader.is_alive:
        exchange.delta_came()
    return deltas

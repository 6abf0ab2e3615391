"""Legacy completions: natively where a provider has them, else as conversations of one message.

A completion travels as a conversation whose prompts are user messages, so that every check sees
them. Each carries ``PROMPT_MARK``: what is marked is a prompt, what is not was put beside it (a
route's own prompt, passages), and then only a conversation can say it.
Source: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from santral.config.upstreams import TimeoutsConfig
from santral.providers.connection import Connection
from santral.providers.openai.provider import OpenAIProvider
from santral.providers.openai.request import RequestWriter
from santral.providers.provider import Provider, ProviderCall
from santral.providers.tasks.http import Address
from santral.providers.upstream import UpstreamClient, UpstreamResponse
from santral.wire.delta import Delta
from santral.wire.sse import SseDecoder, encode_event
from santral.wire.usage import Usage

#: The field that tells a prompt from other messages: its number, from 0; and the one that says that
#: the answer begins with the prompt. Neither is ever sent.
PROMPT_MARK, ECHO_MARK = "santral_prompt", "santral_echo"

_object = msgspec.json.Decoder(dict[str, Any])
_fields = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


class CompletionProvider(OpenAIProvider):
    """Speaks ``/completions``: the chat dialect's clocks, mends and errors around another body."""

    def __init__(self, connection: Connection, address: Address) -> None:
        super().__init__(msgspec.structs.replace(connection, client=_TextClient(connection.client)))
        self._writer = _TextWriter(connection.vendor)
        self._completions = address

    def address(self, model: str) -> str:
        """Return where completions with a model are asked for."""
        return self._completions(model)


def stream_of(
    provider: Provider, call: ProviderCall, native: Provider | None = None
) -> AsyncGenerator[Delta]:
    """Yield the answer to a call of any dialect; ``native`` completes text itself.

    Several prompts become several calls where the provider holds conversations: their choices are
    numbered on, and their usage is added up.
    """
    if call.dialect != "completions":
        return provider.stream(call)
    messages = [_opened(message) for message in call.fields["messages"]]
    if native is not None and all(PROMPT_MARK in message for message in messages):
        return native.stream(_with_messages(call, messages))
    count = sum(PROMPT_MARK in message for message in messages)
    if count < 2:
        return provider.stream(_with_messages(call, [_unmarked(m) for m in messages]))
    return _several(provider, call, messages, count)


async def _several(
    provider: Provider, call: ProviderCall, messages: Sequence[dict[str, Any]], count: int
) -> AsyncGenerator[Delta]:
    asked = _integer(call.fields.get("n")) or 1
    wholes: list[Delta] = []
    spent: Usage | None = None
    for number in range(count):
        one = _with_messages(
            call, [_unmarked(m) for m in messages if m.get(PROMPT_MARK, number) == number]
        )
        used: Usage | None = None
        async with aclosing(provider.stream(one)) as deltas:
            async for delta in deltas:
                used = delta.usage or used
                numbered = _numbered(delta, number * asked)
                if delta.is_whole:
                    wholes.append(numbered)
                elif numbered.choices:
                    yield numbered
        spent = used if spent is None or used is None else spent.plus(used)
        if not wholes:
            yield Delta(usage=spent)  # the total so far: a later one replaces it
    if wholes:
        choices = tuple(choice for whole in wholes for choice in whole.choices)
        yield msgspec.structs.replace(wholes[0], choices=choices, usage=spent, is_whole=True)


def _numbered(delta: Delta, offset: int) -> Delta:
    """Return a delta with its choices numbered on, composed anew: its bytes have other numbers."""
    choices = tuple(
        msgspec.structs.replace(choice, index=choice.index + offset) for choice in delta.choices
    )
    return msgspec.structs.replace(delta, choices=choices, raw=b"", usage=None)


def _opened(message: Any) -> dict[str, Any]:
    return {**_object.decode(message)} if isinstance(message, Raw) else {**message}


def _unmarked(message: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in message.items() if n not in (PROMPT_MARK, ECHO_MARK)}


def _with_messages(call: ProviderCall, messages: Sequence[Any]) -> ProviderCall:
    return msgspec.structs.replace(call, fields={**call.fields, "messages": messages})


class _TextWriter(RequestWriter):
    """Writes the body of ``/completions``: what a conversation says of tokens and limits, and prompts."""

    def write(self, call: ProviderCall) -> bytes:
        """Return the body; see ``RequestWriter``."""
        messages = cast("list[dict[str, Any]]", call.fields["messages"])
        prompts = [message["content"] for message in messages]
        talk = msgspec.structs.replace(call, native={}, dialect="chat")
        fields: dict[str, Any] = {**_fields.decode(super().write(talk))}
        del fields["messages"]
        limit = fields.pop("max_completion_tokens", None)
        if limit is not None:
            fields["max_tokens"] = limit
        if _integer(fields.pop("logprobs", None)):  # true
            fields["logprobs"] = _integer(fields.pop("top_logprobs", None)) or 0
        fields["prompt"] = prompts[0] if len(prompts) == 1 else prompts
        return _encode({**fields, **call.native})


def _integer(value: Any) -> int | None:
    if isinstance(value, Raw):
        value = msgspec.json.decode(value)
    return value if isinstance(value, int) else None


class _TextClient:
    """A client whose answers read as conversations."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutsConfig,
        *,
        is_streaming: bool = False,
    ) -> UpstreamResponse:
        response = await self._client.post(url, headers, body, timeouts, is_streaming=is_streaming)
        return _TextResponse(response) if response.status == 200 else response

    async def close(self) -> None:
        await self._client.close()


class _TextResponse:
    """An answer of ``/completions``, its choices rewritten as those of a conversation."""

    def __init__(self, response: UpstreamResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self) -> bytes:
        return _as_chat(await self._response.read(), "message")

    async def chunks(self) -> AsyncIterator[bytes]:
        decoder = SseDecoder()
        async for data in self._response.chunks():
            events = decoder.feed(data)
            yield b"".join(encode_event(_as_chat(e.data, "delta"), e.name) for e in events)
        if decoder.pending:
            yield b"data: "  # cut inside an event: the reader says so

    def delta_came(self) -> None:
        self._response.delta_came()

    async def finish(self) -> None:
        await self._response.finish()

    async def close(self) -> None:
        await self._response.close()


class _Choice(Struct):
    index: int = 0
    text: str = ""
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


_answer = msgspec.json.Decoder(dict[str, Raw])
_choices = msgspec.json.Decoder(list[_Choice])


def _as_chat(data: bytes, name: str) -> bytes:
    """Return one event or answer with ``text`` as ``name``'s content; what is neither stays as it is."""
    try:
        fields: dict[str, Any] = {**_answer.decode(data)}
        choices = _choices.decode(fields["choices"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return data  # [DONE], an error, or garbage: the reader of conversations knows
    fields["object"] = "chat.completion.chunk" if name == "delta" else "chat.completion"
    fields["choices"] = [
        {
            "index": choice.index,
            name: {"role": "assistant", "content": choice.text},
            "finish_reason": choice.finish_reason,
            "logprobs": choice.logprobs and chat_logprobs(choice.logprobs),
        }
        for choice in choices
    ]
    return _encode(fields)


def chat_logprobs(legacy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the log probabilities of a completion in the form of a conversation."""
    tokens: list[str] = legacy.get("tokens") or []
    scores: list[float | None] = legacy.get("token_logprobs") or []
    tops: list[dict[str, float] | None] = legacy.get("top_logprobs") or [None] * len(tokens)
    return {
        "content": [
            {
                "token": token,
                "logprob": score,
                "bytes": list(token.encode(errors="replace")),
                "top_logprobs": [
                    {"token": t, "logprob": s, "bytes": list(t.encode(errors="replace"))}
                    for t, s in (top or {}).items()
                ],
            }
            for token, score, top in zip(tokens, scores, tops, strict=False)
        ]
    }

"""OpenAI's legacy completions: prompts in, texts out, as clients from before conversations speak.

A request without ``max_tokens`` goes on without one; OpenAI's own default of 16 is not copied.
Source: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest, SantralError
from santral.gateway.context import RequestContext
from santral.gateway.dialects.chat import ChatDialect
from santral.gateway.inbound import Inbound
from santral.providers.tasks.complete import ECHO_MARK, PROMPT_MARK
from santral.web.errors import error_body
from santral.wire.chat import NULL, ChatCall, StreamOptions, chat_call
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import fold, wire_usage
from santral.wire.sse import DONE, encode_event
from santral.wire.task import plain, read_task
from santral.wire.usage import Usage

#: Prompts of one request. Chosen: evaluation harnesses send tens at once; each may be a call.
MAX_PROMPTS = 128

_encode = msgspec.json.Encoder().encode


class CompletionView(Struct, frozen=True):
    """The fields of a completion request that Santral looks at."""

    model: str
    prompt: Any
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: int | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    santral: Raw = NULL


_view = msgspec.json.Decoder(CompletionView)
#: Fields with another meaning than in a conversation, or with none.
_OWN = ("prompt", "suffix", "echo", "best_of", "logprobs", "top_logprobs")


class CompletionsDialect(ChatDialect):
    """``POST /v1/completions``."""

    name = "completions"

    async def parse(self, inbound: Inbound, ctx: RequestContext) -> ChatCall:
        """Read a request: every prompt becomes a user message.

        Raises:
            BadRequest: malformed; the message names the place.
        """
        view, fields = read_completion(inbound.body)
        prompts = _prompts(view.prompt)
        for name in _OWN:
            fields.pop(name, None)
        echo = {ECHO_MARK: True} if view.echo and view.logprobs is None else {}
        fields["messages"] = [
            {"role": "user", "content": prompt, PROMPT_MARK: number, **echo}
            for number, prompt in enumerate(prompts)
        ]
        if view.logprobs is not None:
            fields["logprobs"] = True
            if view.logprobs > 0:
                fields["top_logprobs"] = view.logprobs
        call = chat_call(fields, dialect="completions", native=_native(view))
        if len(prompts) > 1:  # so that every answer is counted before it is made
            count = max(view.n or 1, view.best_of or 1, 1) * len(prompts)
            call.view = msgspec.structs.replace(call.view, n=count)
        return call

    def writer(self, ctx: RequestContext) -> CompletionsWriter:  # pyright: ignore[reportIncompatibleMethodOverride] - another form
        """Return the writer of one answer."""
        return CompletionsWriter(ctx)


def read_completion(body: bytes) -> tuple[CompletionView, dict[str, Any]]:
    """Read the body; ``santral`` stays among the fields, it means what it does in a conversation."""
    view, fields = read_task(body, _view, ())
    if view.santral != NULL:
        fields["santral"] = view.santral
    return view, fields


def _prompts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    entries = cast("list[Any]", given) if isinstance(given, list) else []
    if entries and all(isinstance(entry, str) for entry in entries):
        if len(entries) > MAX_PROMPTS:
            raise BadRequest(
                f"'prompt' holds {len(entries)} prompts; send at most {MAX_PROMPTS} at once.",
                code="invalid_request",
                param="prompt",
            )
        return entries
    is_tokens = entries and all(isinstance(entry, int | list) for entry in entries)
    raise BadRequest(
        "Token ids cannot be read here. Send the prompt as text."
        if is_tokens
        else "'prompt' must be a text or a list of texts.",
        code="tokens_not_readable" if is_tokens else "invalid_request",
        param="prompt",
    )


def _native(view: CompletionView) -> dict[str, Raw]:
    """Return what only a provider of completions can do; others note it as a loss."""
    wanted: dict[str, Any] = {}
    if view.suffix:
        wanted["suffix"] = view.suffix
    if view.best_of is not None and view.best_of != (view.n or 1):
        wanted["best_of"] = view.best_of
    if view.echo and view.logprobs is not None:
        wanted["echo"] = True  # the prompt's own probabilities: nobody else knows them
    return {name: Raw(_encode(value)) for name, value in wanted.items()}


class CompletionsWriter:
    """Writes texts, whole or as ``text_completion`` chunks."""

    __slots__ = ("_count", "_ctx", "_first", "_lengths", "_prompts", "_wants_usage")

    def __init__(self, ctx: RequestContext) -> None:
        self._ctx = ctx
        call = ctx.call
        self._first = Delta()
        self._lengths: dict[int, int] = {}  # characters written, by choice
        self._prompts = _echoed(ctx)
        self._count = max(plain(call.fields.get("n")) or 1, 1)  # choices a prompt
        options = call.view.stream_options
        self._wants_usage = options is not None and options.include_usage

    def write(self, delta: Delta) -> bytes:
        """Return one chunk for each choice that says or ends something."""
        if not self._first.id:
            self._first = delta
        written = [
            encode_event(_encode({**self._head(), "choices": [self._choice(choice)]}))
            for choice in delta.choices
            if choice.text or choice.refusal or choice.finish_reason or choice.logprobs
        ]
        return b"".join(written)

    async def end(self, usage: Usage | None) -> bytes:
        """Return usage, where the client asked for it, and ``[DONE]``."""
        opening = b""
        if not self._lengths:  # an answer without a single event is still a stream
            opening = self.write(Delta(choices=(ChoiceDelta(finish_reason="stop"),)))
        last = b""
        if self._wants_usage:
            ending = {"choices": (), "usage": wire_usage(usage or Usage())}
            last = encode_event(_encode({**self._head(), **ending}))
        return opening + last + DONE

    def fail(self, error: SantralError) -> bytes:
        """Return the error as an event: official clients raise on it."""
        return encode_event(error_body(error))

    async def whole(self, deltas: Sequence[Delta], usage: Usage | None) -> bytes:
        """Return the completion."""
        answer = fold(deltas)
        self._first = answer
        choices = [self._choice(choice) for choice in answer.choices]
        used = usage or answer.usage or Usage()
        return _encode({**self._head(), "choices": choices, "usage": wire_usage(used)})

    def _head(self) -> dict[str, Any]:
        ctx, first = self._ctx, self._first
        return {
            "id": f"cmpl-{ctx.request_id}",
            "object": "text_completion",
            "created": first.created or ctx.started_at_us // 1_000_000,
            "model": first.model or ctx.requested_model,
        }

    def _choice(self, choice: ChoiceDelta) -> dict[str, Any]:
        written = self._lengths.get(choice.index)
        text = choice.text or choice.refusal
        if written is None:
            text = self._echo(choice.index) + text
        offset = (written or 0) + len(text) - len(choice.text)
        self._lengths[choice.index] = (written or 0) + len(text)
        return {
            "text": text,
            "index": choice.index,
            "logprobs": legacy_logprobs(choice.logprobs, offset),
            "finish_reason": _FINISH.get(choice.finish_reason or "", choice.finish_reason),
        }

    def _echo(self, index: int) -> str:
        number = index // self._count
        return self._prompts[number] if number < len(self._prompts) else ""


#: A completion calls no tools. Source: the reference names stop, length and content_filter.
_FINISH = {"tool_calls": "stop", "function_call": "stop"}


def _echoed(ctx: RequestContext) -> list[str]:
    """Return the prompts as they were sent on, where the gateway is to say them before the answer."""
    messages = [cast("dict[str, Any]", plain(message)) for message in ctx.call.messages]
    return [message["content"] for message in messages if ECHO_MARK in message]


def legacy_logprobs(chat: bytes, offset: int) -> dict[str, Any] | None:
    """Return a conversation's log probabilities in the form of a completion, offsets and all."""
    entries: list[dict[str, Any]] = (msgspec.json.decode(chat).get("content") or []) if chat else []
    if not entries:
        return None
    offsets: list[int] = []
    for entry in entries:
        offsets.append(offset)
        offset += len(entry["token"])
    return {
        "tokens": [entry["token"] for entry in entries],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [
            {top["token"]: top["logprob"] for top in entry.get("top_logprobs") or ()}
            for entry in entries
        ],
        "text_offset": offsets,
    }

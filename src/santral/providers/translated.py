"""What providers of other dialects than OpenAI's share: one exchange, deltas composed from its events.

A dialect says where it is asked (``address``), what is sent (``write``) and how its events are read
(an ``AnswerReader``). What of a conversation it cannot say, ``note_losses`` names.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Iterable
from typing import Any, cast

import msgspec
from msgspec import Raw

from santral.errors import ProviderError, ProviderGarbled, ProviderUnreachable
from santral.providers.connection import Connection
from santral.providers.conversation.conversation import Conversation
from santral.providers.estimate import estimate_input
from santral.providers.exchange import Exchange
from santral.providers.openai.error import refusal
from santral.providers.provider import ChatOnly, ProviderCall
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.usage import BYTES_PER_TOKEN, Usage

_NO_TIER = ("", "auto", "default")


class AnswerReader(ABC):
    """Reads one answer's events, in any split of its bytes, as deltas of one choice.

    An error inside the answer is raised by ``end``: what came before it is still its beginning.
    """

    def __init__(self, call: ProviderCall, *, secret: str, created: int) -> None:
        self._call = call
        self._secret = secret
        self._error: ProviderError | None = None
        self._output_bytes = 0
        self._calls = 0
        # Ollama and Triton give their answers no id.
        self.head = Delta(id=f"chatcmpl-{secrets.token_hex(12)}", model=call.model, created=created)
        self.usage: Usage | None = None
        self.is_finished = False
        self.has_started = False

    @abstractmethod
    def events(self, data: bytes) -> Iterable[bytes]:
        """Return the events that ``data`` completes."""

    @abstractmethod
    def take(self, event: bytes) -> Iterable[Delta]:
        """Return the deltas of one event; the last one finishes the answer with ``finish``."""

    @abstractmethod
    def take_whole(self, body: bytes) -> Iterable[Delta]:
        """Return the deltas of an answer that was not streamed."""

    def close(self) -> Iterable[Delta]:
        """Return what the end of the bytes says; a dialect whose stream has no end mark finishes."""
        return ()

    @property
    def is_over(self) -> bool:
        """Whether nothing further is to be read."""
        return self.is_finished or self._error is not None

    def feed(self, data: bytes) -> list[Delta]:
        """Return the deltas that ``data`` completes."""
        deltas: list[Delta] = []
        try:
            for event in self.events(data):
                deltas += self.take(event)
                if self.is_finished:
                    break
        except ProviderError as error:
            self._error = error
        return deltas

    def end(self) -> list[Delta]:
        """Return the last delta, which has the usage.

        Raises:
            ProviderUnreachable: the stream was cut before its end.
            ProviderError: an error came inside the answer.
        """
        if self._error is not None and not self.is_finished:
            raise self._error
        if not self.is_finished:
            raise ProviderUnreachable("The provider's stream was cut before its end.")
        usage = self.usage or Usage(
            input_uncached=estimate_input(self._call.fields),
            output_text=int(self._output_bytes / BYTES_PER_TOKEN) + 1,
            is_estimated=True,
        )
        return [msgspec.structs.replace(self.head, usage=usage)]

    def said(self, **content: Any) -> list[Delta]:
        """Return a delta with more of one block, or none where there is nothing."""
        choice = ChoiceDelta(**content)
        if not (choice.has_content or choice.annotations or choice.details or choice.logprobs):
            return []
        self.has_started = self.has_started or choice.has_content
        self._output_bytes += len((choice.text or choice.reasoning).encode())
        for call in choice.tool_calls:
            self._output_bytes += len(call.name) + len(call.arguments)
        return [msgspec.structs.replace(self.head, choices=(choice,))]

    def called(self, name: str, arguments: str, call_id: str = "") -> list[Delta]:
        """Return a whole tool call as a delta; an id is made where the provider gives none."""
        index = self._calls
        self._calls += 1
        made = call_id or f"call_{secrets.token_hex(8)}"
        return self.said(tool_calls=(ToolCallDelta(index, made, name, arguments),))

    def finish(self, reason: str, native: str = "") -> list[Delta]:
        """Return the delta that ends the answer; calling a tool is a reason of its own."""
        self.is_finished = True
        if reason == "stop" and self._calls:
            reason = "tool_calls"
        choice = ChoiceDelta(finish_reason=reason, native_finish=native)
        return [msgspec.structs.replace(self.head, choices=(choice,))]


class TranslatedProvider(ChatOnly, ABC):
    """A provider whose dialect is translated."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connection.base_url!r})"

    @abstractmethod
    def address(self, call: ProviderCall) -> str:
        """Return where a call is sent."""

    @abstractmethod
    def write(self, call: ProviderCall) -> bytes:
        """Return the body of a call; what cannot be said goes into ``call.losses``."""

    @abstractmethod
    def reader(self, call: ProviderCall, secret: str, created: int) -> AnswerReader:
        """Return what reads the answer."""

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer's deltas; see ``Provider``."""
        async with await self.connection.post(
            self.address(call),
            self.write(call),
            call.timeouts,
            refusal,
            model=call.model,
            is_streaming=call.is_streaming,
            more={"traceparent": call.traceparent} if call.traceparent else None,
        ) as exchange:
            created = int(self.connection.wall_clock())
            reader = self.reader(call, exchange.key.secret, created)
            if not call.is_streaming:
                body = await exchange.response.read()
                for delta in [*reader.take_whole(body), *reader.end()]:
                    yield delta
                return
            data: bytes | None = b""
            while data is not None and not reader.is_over:
                data = await exchange.next(reader)
                for delta in _read(data, exchange, reader):
                    yield delta
            for delta in reader.end():
                yield delta


def _read(data: bytes | None, exchange: Exchange, reader: AnswerReader) -> list[Delta]:
    """Return the deltas of the next bytes."""
    if data is None:
        return [*reader.feed(b"\n\n"), *reader.close()]  # servers forget the last line end
    deltas = reader.feed(data)
    if deltas and reader.has_started:
        exchange.delta_came()
    return deltas


def decode(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """Return an event as the dialect's view.

    Raises:
        ProviderGarbled: not JSON, or a field of a wrong type.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise ProviderGarbled(
            f"The provider's answer has a field of a wrong type: {error}."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProviderGarbled("The provider's answer is not JSON.") from None


def note_losses(
    call: ProviderCall,
    conversation: Conversation,
    *,
    lacks: Collection[str] = (),
    takes: Collection[str] = (),
) -> None:
    """Note what of a request the dialect cannot say.

    ``lacks`` names the sampling settings that it has not, ``takes`` the fields it passes on itself.
    """
    losses, sampling = call.losses, conversation.sampling
    for name in (*conversation.unsaid, *conversation.rest, *call.native):
        if name not in takes:
            losses.drop(name)
    for name in lacks:
        if getattr(sampling, name) not in (None, False):
            losses.drop(name)
    if sampling.n is not None and sampling.n > 1:
        losses.change("n", 1)
    if conversation.parallel_tool_calls is not None and conversation.tools:
        losses.drop("parallel_tool_calls")
    if conversation.user:
        losses.drop("user")
    if conversation.service_tier not in _NO_TIER:
        losses.drop("service_tier")


def loads_object(arguments: str) -> dict[str, Any]:
    """Return a tool call's arguments as an object; what is none is put under ``input``."""
    try:
        value = msgspec.json.decode(arguments or "{}")
    except msgspec.DecodeError:
        return {"input": arguments}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"input": value}


def field_of(conversation: Conversation, call: ProviderCall, name: str) -> Any:
    """Return a field that only this dialect knows, wherever the client put it; None if nowhere."""
    value = conversation.rest.get(name)
    return call.native.get(name) if value is None else value


def is_set(value: Any) -> bool:
    """Whether a raw or decoded field says anything."""
    return value is not None and not (isinstance(value, Raw) and bytes(value) == b"null")

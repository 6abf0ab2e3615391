"""Cohere's answers: typed events of a stream, or one message of blocks; citations as annotations.

Source: https://docs.cohere.com/v2/docs/streaming and the types of cohere 7.3.1; events of other
types are left out, as its own SDK does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from santral.errors import ProviderFailed, ProviderGarbled, ProviderTimeout
from santral.providers.decoded import decoded
from santral.providers.openai.error import error_inside, scrubbed
from santral.providers.translated import AnswerReader
from santral.wire.delta import Delta, ToolCallDelta
from santral.wire.sse import SseDecoder
from santral.wire.usage import Usage


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None


class _Source(Struct):
    id: str | None = None
    document: dict[str, Any] | None = None


class _Citation(Struct):
    start: int | None = None
    end: int | None = None
    sources: list[_Source] | None = None
    type: str | None = None


class _Content(Struct):
    text: str | None = None
    thinking: str | None = None


class _Message(Struct):
    """``message`` of an answer, where lists are whole, and of an event, where each holds one."""

    content: list[_Content] | _Content | str | None = None
    tool_plan: str | None = None
    tool_calls: list[_Call] | _Call | None = None
    citations: list[_Citation] | _Citation | None = None


class _Counted(Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Usage(Struct):
    billed_units: _Counted | None = None
    tokens: _Counted | None = None
    cached_tokens: float | None = None


class _Delta(Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None
    error: Any = None


class _Event(Struct):
    """One event, or a whole answer, which has the fields of ``delta`` at its top."""

    type: str = ""
    id: str | None = None
    index: int | None = None
    delta: _Delta | None = None
    message: _Message | str | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Event)
_NO_DELTA = _Delta()
_NO_MESSAGE = _Message()

#: Cohere's reasons in OpenAI's words. Source: cohere 7.3.1, chat_finish_reason.py and finish_reason.py
_ENDS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "USER_CANCEL": "stop",
}


class CohereReader(AnswerReader):
    """Reads one answer of Cohere."""

    def __init__(self, call: Any, *, secret: str, created: int) -> None:
        super().__init__(call, secret=secret, created=created)
        self._sse = SseDecoder()
        self._numbers: dict[int, int] = {}  # index of an event -> index of its tool call

    def events(self, data: bytes) -> Iterable[bytes]:
        """Return the events that ``data`` completes."""
        return [event.data for event in self._sse.feed(data)]

    def take(self, event: bytes) -> Iterable[Delta]:
        """Return the deltas of one event."""
        if not event.strip() or event == b"[DONE]":
            return []
        read = decoded(_decoder.decode, event)
        if read.error or read.type == "error":
            raise error_inside(read.error or read.message, secret=self._secret)
        if read.id:
            self.head = msgspec.structs.replace(self.head, id=read.id)
        delta = read.delta or _NO_DELTA
        message = delta.message or _NO_MESSAGE
        if read.type in ("tool-call-start", "tool-call-delta"):
            return self._piece(read.index or 0, _one(message.tool_calls))
        if read.type == "message-end":
            return self._end(delta)
        return self._said(message)

    def take_whole(self, body: bytes) -> Iterable[Delta]:
        """Return the deltas of an answer that was not streamed, block by block."""
        read = decoded(_decoder.decode, body)
        message = read.message
        if read.error or not isinstance(message, _Message):
            if read.error or isinstance(message, str):
                raise error_inside(read.error or message, secret=self._secret)
            raise ProviderGarbled("The provider's answer is not Cohere's: it has no message.")
        self.head = msgspec.structs.replace(self.head, id=read.id or self.head.id)
        deltas = self._said(message)
        for call in _all(message.tool_calls):
            function = call.function or _Function()
            deltas += self.called(function.name or "", function.arguments or "", call.id or "")
        end = _Delta(finish_reason=read.finish_reason or "COMPLETE", usage=read.usage)
        return [*deltas, *self._end(end)]

    def _said(self, message: _Message) -> list[Delta]:
        """Return thinking, texts and citations; a plan for tools is thinking, too."""
        deltas = self.said(reasoning=message.tool_plan or "")
        content = message.content
        for block in [_Content(content)] if isinstance(content, str) else _all(content):
            deltas += self.said(reasoning=block.thinking or "")
            deltas += self.said(text=block.text or "")
        notes = [note for citation in _all(message.citations) for note in _annotations(citation)]
        return deltas + self.said(annotations=tuple(notes))

    def _piece(self, index: int, call: _Call | None) -> list[Delta]:
        if call is None:
            return []
        function = call.function or _Function()
        number = self._numbers.get(index)
        if number is None:
            self._numbers[index] = len(self._numbers)
            return self.called(function.name or "", function.arguments or "", call.id or "")
        return self.said(tool_calls=(ToolCallDelta(number, arguments=function.arguments or ""),))

    def _end(self, delta: _Delta) -> list[Delta]:
        reason = delta.finish_reason or "COMPLETE"
        if delta.error or reason in ("ERROR", "TIMEOUT"):
            said = scrubbed(delta.error, self._secret) or f"finish_reason {reason}"
            text = f"The provider failed inside its answer: {said}"
            if reason == "TIMEOUT":
                raise ProviderTimeout(text, phase="provider")
            raise ProviderFailed(text, upstream_status=200)
        self.usage = _usage(delta.usage)
        ended = _ENDS.get(reason, "stop")
        return self.finish(ended, reason if ended == "content_filter" else "")


def _all(value: Any) -> list[Any]:
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _one(calls: list[_Call] | _Call | None) -> _Call | None:
    """Return the call of an event: its documentation shows an object, its servers once sent a list."""
    if isinstance(calls, list):
        return calls[0] if calls else None
    return calls


def _annotations(citation: _Citation) -> Iterable[Raw]:
    """Return a citation of the answer's text as OpenAI's annotations, one for each source."""
    if citation.type not in (None, "TEXT_CONTENT"):
        return []  # of the thinking or the plan
    sources: Sequence[_Source] = citation.sources or ()
    return [
        Raw(
            msgspec.json.encode(
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": _text(source, "url") or f"document:{source.id or ''}",
                        "title": _text(source, "title") or source.id or "",
                        "start_index": citation.start or 0,
                        "end_index": citation.end or 0,
                    },
                }
            )
        )
        for source in sources
    ]


def _text(source: _Source, name: str) -> str:
    value = (source.document or {}).get(name)
    return value if isinstance(value, str) else ""


def _usage(usage: _Usage | None) -> Usage | None:
    """Return what is billed: Cohere counts more tokens than it bills (its own preamble).

    Its cached tokens are a share of those it counts, and it bills them like the others.
    """
    if usage is None:
        return None
    for counted in (usage.billed_units, usage.tokens):
        if counted is not None and counted.input_tokens is not None:
            return Usage(
                input_uncached=int(counted.input_tokens),
                output_text=int(counted.output_tokens or 0),
            )
    return None

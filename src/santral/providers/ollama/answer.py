"""Ollama's answers: one JSON object a line, the last one with ``done`` and what was counted.

A tool call comes whole, its arguments an object, and in older versions without an id; an error in
the middle of an answer is a line ``{"error": "..."}`` after the 200.
Source: https://github.com/ollama/ollama/blob/main/docs/api/errors.mdx and api.md
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import ProviderGarbled
from santral.providers.decoded import decoded
from santral.providers.openai.error import error_inside
from santral.providers.translated import AnswerReader
from santral.wire.delta import Delta
from santral.wire.sse import MAX_EVENT_BYTES
from santral.wire.usage import Usage


class _Function(Struct):
    name: str = ""
    arguments: Any = None


class _Call(Struct):
    function: _Function
    id: str | None = None


class _Message(Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _TopLogprob(Struct):
    token: str = ""
    logprob: float = 0.0


class _Logprob(_TopLogprob):
    top_logprobs: list[_TopLogprob] | None = None


class _Line(Struct):
    message: _Message | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[_Logprob] | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Line)
_NO_MESSAGE = _Message()


class OllamaReader(AnswerReader):
    """Reads one answer of Ollama."""

    _rest = b""

    def events(self, data: bytes) -> Iterable[bytes]:
        """Return the lines that ``data`` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ProviderGarbled(f"A line of the answer is larger than {MAX_EVENT_BYTES} bytes.")
        return lines

    def take(self, event: bytes) -> Iterable[Delta]:
        """Return the deltas of one line: thinking, text, tool calls, the end."""
        if not event.strip():
            return []
        line = decoded(_decoder.decode, event)
        if line.error:
            raise error_inside(line.error, secret=self._secret)
        message = line.message or _NO_MESSAGE
        deltas = self.said(reasoning=message.thinking or "")
        deltas += self.said(text=message.content or "", logprobs=_logprobs(line.logprobs))
        for call in message.tool_calls or ():
            arguments = msgspec.json.encode(call.function.arguments or {}).decode()
            deltas += self.called(call.function.name, arguments, call.id or "")
        if line.done:
            self.usage = _usage(line)
            deltas += self.finish("length" if line.done_reason == "length" else "stop")
        return deltas

    def take_whole(self, body: bytes) -> Iterable[Delta]:
        """Return the deltas of an answer that was not streamed: it is the one line."""
        deltas = [*self.take(body)]
        if not self.is_finished:
            raise ProviderGarbled("The provider's answer is not Ollama's: it is never done.")
        return deltas


def _usage(line: _Line) -> Usage | None:
    """Return what was counted; the prompt's count is missing where Ollama had it cached."""
    if line.prompt_eval_count is None or line.eval_count is None:
        return None
    return Usage(input_uncached=line.prompt_eval_count, output_text=line.eval_count)


def _logprobs(entries: list[_Logprob] | None) -> bytes:
    """Return log-probabilities in OpenAI's chat form."""
    if not entries:
        return b""
    content = [
        _entry(entry) | {"top_logprobs": [_entry(top) for top in entry.top_logprobs or ()]}
        for entry in entries
    ]
    return msgspec.json.encode({"content": content, "refusal": None})


def _entry(entry: _TopLogprob) -> dict[str, Any]:
    return {
        "token": entry.token,
        "logprob": entry.logprob,
        "bytes": list(entry.token.encode()),
    }

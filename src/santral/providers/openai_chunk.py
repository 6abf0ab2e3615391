"""OpenAI chat answers, whole and in chunks, as deltas; with the habits of those who imitate it.

Where a chunk breaks the grammar (no role, no tool index, a name repeated, usage beside choices,
content after the end), the delta is mended here, once, so that every stream that leaves a provider
obeys it. ``raw`` stays the provider's bytes where nothing had to be mended; where the mend touches
known fields it is rewritten with the unknown ones kept, or empty, and then the delta is composed.
Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import ProviderError, ProviderGarbled, ProviderUnreachable
from santral.providers.openai_error import error_inside
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.render import without_usage
from santral.wire.sse import Event, SseDecoder
from santral.wire.usage import BYTES_PER_TOKEN, Usage


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Content(Struct):
    """``delta`` of a chunk and ``message`` of a whole answer."""

    role: str | None = None
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct):
    index: int | None = None
    delta: _Content | None = None
    message: _Content | None = None
    finish_reason: str | None = None


class _PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's name for cached_tokens


class _Answer(Struct):
    """A chunk or a whole completion: every field may be missing or null."""

    id: str | int | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Answer)
_fields = msgspec.json.Decoder(dict[str, Raw])
_generic = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.encode
_NO_CONTENT = _Content()


def read_whole(body: bytes, *, secret: str = "") -> Delta:
    """Return a whole ``chat.completion`` as one delta; ``usage`` is None where it has none.

    Raises:
        ProviderGarbled: not JSON, or no completion.
        ProviderError: an error inside the 200.
    """
    answer = _decoded(body)
    if answer.error:
        raise error_inside(answer.error, secret=secret)
    if not answer.choices:
        raise ProviderGarbled("The provider's answer has no choices.")
    return Delta(
        choices=tuple(_whole_choice(choice) for choice in answer.choices),
        usage=_usage(answer.usage),
        raw=body,
        is_whole=True,
        id=str(answer.id or ""),
        model=answer.model or "",
        created=int(answer.created or 0),
    )


class ChunkReader:
    """Reads the chunks of one stream from its bytes, in any split.

    An error inside the stream is raised by ``end``: the deltas before it are still an answer's
    beginning, so they are returned rather than lost.
    """

    __slots__ = (
        "_calls",
        "_decoder",
        "_error",
        "_finished",
        "_held",
        "_id",
        "_is_at_end",
        "_mend",
        "_model",
        "_secret",
        "_seen",
        "_usage",
        "_usage_raw",
        "has_started",
        "is_done",
        "output_bytes",
    )

    def __init__(self, *, secret: str = "") -> None:
        self._decoder = SseDecoder()
        self._secret = secret
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[tuple[int, int], ToolCallDelta] = {}
        self._held: dict[str, Raw] = {}
        self._mend = _Mend()
        self._usage: Usage | None = None
        self._usage_raw = b""
        self._id = ""
        self._model = ""
        self._error: ProviderError | None = None
        self._is_at_end = False
        self.has_started = False  # content or an end has come
        self.is_done = False  # [DONE] has come
        self.output_bytes = 0

    @property
    def is_finished(self) -> bool:
        """Whether every choice that began has ended."""
        return bool(self._finished) and self._finished >= self._seen

    def feed(self, data: bytes) -> list[Delta]:
        """Return the deltas that ``data`` completes."""
        deltas: list[Delta] = []
        try:
            for event in self._decoder.feed(data):
                delta = self._take(event)
                if delta is not None:
                    deltas.append(delta)
                if self.is_done:
                    break
        except ProviderError as error:
            self._error = error
        return deltas

    @property
    def is_over(self) -> bool:
        """Whether nothing further is to be read: the end came, or an error."""
        return self.is_done or self._is_at_end or self._error is not None

    def end_bytes(self) -> list[Delta]:
        """Take note that no bytes follow; return what an unclosed last event holds."""
        deltas = (
            self.feed(b"\n\n") if self._decoder.pending else []
        )  # servers forget the blank line
        self._is_at_end = True
        return deltas

    def end(self, estimate_input: Callable[[], int]) -> list[Delta]:
        """Return what ends the answer, its usage last.

        ``estimate_input`` is asked for the input's tokens only where the provider gave no usage.

        Raises:
            ProviderUnreachable: the stream was cut before its end.
            ProviderError: an error came inside the stream, or bytes that are not the dialect.
        """
        if self.is_finished:
            return [self._usage_delta(estimate_input)]
        if self._error is not None:
            raise self._error
        if not (self.is_done and self.has_started):
            raise ProviderUnreachable("The provider's stream was cut before its end.")
        return [self._forgotten_end(), self._usage_delta(estimate_input)]

    def _usage_delta(self, estimate_input: Callable[[], int]) -> Delta:
        usage = self._usage or Usage(
            input_uncached=estimate_input(),
            output_text=int(self.output_bytes / BYTES_PER_TOKEN) + 1,
            is_estimated=True,
        )
        return Delta(usage=usage, raw=self._usage_raw, id=self._id, model=self._model)

    def _forgotten_end(self) -> Delta:
        """[DONE] came and no finish_reason before it: say that the answer stopped."""
        choices = tuple(
            ChoiceDelta(index=index, finish_reason="stop")
            for index in sorted(self._seen - self._finished)
        )
        self._finished |= self._seen
        return Delta(choices=choices, id=self._id, model=self._model)

    def _take(self, event: Event) -> Delta | None:
        if event.data == b"[DONE]":
            self.is_done = True
            return None
        if not event.data.strip():
            return None
        answer = _decoded(event.data)
        if answer.error or event.name == b"error":
            raise error_inside(answer.error or _generic.decode(event.data), secret=self._secret)
        if answer.usage is not None:
            self._usage = _usage(answer.usage) or self._usage
        if not answer.choices:
            self._hold(event.data, answer)
            return None
        return self._delta(event.data, answer, answer.choices)

    def _delta(self, raw: bytes, answer: _Answer, choices: list[_Choice]) -> Delta | None:
        mended: list[ChoiceDelta] = []
        mend = self._mend
        for choice in choices:
            made = self._choice(choice, mend)
            if made is not None:
                mended.append(made)
        if not mended:
            self._mend = _Mend()
            return None
        if not self._id:
            self._id = str(answer.id or "")
            self._model = answer.model or ""
        elif answer.id != self._id:
            mend.fields["id"] = self._id
        if answer.usage is not None:
            raw = without_usage(raw)
        if self._held or mend.is_needed:
            mend.fields |= self._held
            self._held = {}
            raw = mend.apply(raw)
            self._mend = _Mend()
        return Delta(
            choices=tuple(mended),
            usage=self._usage,
            raw=raw,
            id=self._id,
            model=answer.model or self._model,
            created=int(answer.created or 0),
        )

    def _choice(self, choice: _Choice, mend: _Mend) -> ChoiceDelta | None:
        content = choice.delta or choice.message or _NO_CONTENT
        index = choice.index
        if index is None:
            index = 0
            mend.is_composed = True
        if index in self._finished:
            mend.is_composed = True
            return None
        if index not in self._seen:
            self._seen.add(index)
            if content.role is None:
                mend.roles[index] = True
        elif content.role is not None:  # Ollama and Together repeat it; SDKs join the repetitions
            mend.roles[index] = False
        reasoning = content.reasoning_content or content.reasoning
        made = ChoiceDelta(
            index=index,
            text=content.content if isinstance(content.content, str) else _text(content.content),
            refusal=content.refusal or "",
            reasoning=reasoning if isinstance(reasoning, str) else "",
            tool_calls=self._tool_calls(index, content.tool_calls, mend)
            if content.tool_calls
            else (),
            finish_reason=choice.finish_reason or None,
        )
        self._count(made)
        return made

    def _count(self, made: ChoiceDelta) -> None:
        if made.finish_reason is not None:
            self._finished.add(made.index)
            self.has_started = True
        elif not self.has_started:
            self.has_started = made.has_content
        text = made.text or made.reasoning or made.refusal
        self.output_bytes += len(text) if text.isascii() else len(text.encode())
        for call in made.tool_calls:
            self.output_bytes += len(call.name) + len(call.arguments)

    def _tool_calls(
        self, choice: int, calls: list[_ToolCall], mend: _Mend
    ) -> tuple[ToolCallDelta, ...]:
        return tuple(self._tool_call(choice, call, mend) for call in calls)

    def _tool_call(self, choice: int, call: _ToolCall, mend: _Mend) -> ToolCallDelta:
        index = call.index
        if index is None:  # Gemini's imitation: a new id is a new call
            mend.is_composed = True
            index = self._open_calls(choice, is_new=bool(call.id))
        function = call.function or _Function()
        arguments = function.arguments or ""
        if not isinstance(arguments, str):
            mend.is_composed = True
            arguments = _encode(arguments).decode()
        seen = self._calls.get((choice, index))
        if seen is None:
            made = ToolCallDelta(
                index=index, id=call.id or "", name=function.name or "", arguments=arguments
            )
            if not call.id:
                mend.is_composed = True
                made = msgspec.structs.replace(made, id=f"call_{choice}_{index}")
            self._calls[choice, index] = made
            return made
        if call.id or function.name:  # llama.cpp repeats both (its pull request 12379)
            mend.is_composed = True
        return ToolCallDelta(index=index, arguments=arguments)

    def _open_calls(self, choice: int, *, is_new: bool) -> int:
        count = sum(1 for of_choice, _ in self._calls if of_choice == choice)
        return count if is_new or not count else count - 1

    def _hold(self, raw: bytes, answer: _Answer) -> None:
        """Keep what a chunk without choices says: usage for the end, Azure's filter for the next."""
        if answer.usage is not None:
            is_usage_chunk = answer.choices is not None and answer.id == self._id
            self._usage_raw = raw if is_usage_chunk else b""
        elif not self._seen:
            known = (*_Answer.__struct_fields__, "object")
            self._held = {k: v for k, v in _fields.decode(raw).items() if k not in known}


class _Mend:
    """What has to change in a chunk's JSON."""

    __slots__ = ("fields", "is_composed", "roles")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.roles: dict[int, bool] = {}  # choice index -> whether its role is missing or too much
        self.is_composed = False

    @property
    def is_needed(self) -> bool:
        return self.is_composed or bool(self.fields or self.roles)

    def apply(self, raw: bytes) -> bytes:
        """Return the mended JSON, or nothing where the delta has to be composed anew."""
        if self.is_composed:
            return b""
        body: dict[str, Any] = {**_fields.decode(raw), **self.fields}
        if self.roles:
            body["choices"] = [
                self._with_role(choice) for choice in _generic.decode(raw)["choices"]
            ]
        return _encode(body)

    def _with_role(self, choice: dict[str, Any]) -> dict[str, Any]:
        is_missing = self.roles.get(choice.get("index") or 0)
        if is_missing is None:
            return choice
        delta: dict[str, Any] = {**(choice.get("delta") or {})}
        delta.pop("role", None)
        return {**choice, "delta": {"role": "assistant", **delta} if is_missing else delta}


def _decoded(data: bytes) -> _Answer:
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise ProviderGarbled(
            f"The provider's answer has a field of a wrong type: {error}."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        start = data.lstrip()[:1]
        what = "an HTML page" if start == b"<" else "not JSON"
        raise ProviderGarbled(f"The provider's answer is {what}.") from None


def _whole_choice(choice: _Choice) -> ChoiceDelta:
    message = choice.message or choice.delta or _NO_CONTENT
    reasoning = message.reasoning_content or message.reasoning
    return ChoiceDelta(
        index=choice.index or 0,
        text=message.content if isinstance(message.content, str) else _text(message.content),
        refusal=message.refusal or "",
        reasoning=reasoning if isinstance(reasoning, str) else "",
        tool_calls=tuple(
            _whole_call(position, call) for position, call in enumerate(message.tool_calls or ())
        ),
        finish_reason=choice.finish_reason or "stop",
    )


def _whole_call(position: int, call: _ToolCall) -> ToolCallDelta:
    function = call.function or _Function()
    arguments = function.arguments or ""
    if not isinstance(arguments, str):
        arguments = _encode(arguments).decode()
    return ToolCallDelta(
        index=position, id=call.id or "", name=function.name or "", arguments=arguments
    )


def _text(parts: list[dict[str, Any]] | None) -> str:
    """Return the text of content given in parts (Mistral's thinking models)."""
    return "".join(part["text"] for part in parts or () if isinstance(part.get("text"), str))


def _usage(usage: _Usage | None) -> Usage | None:
    """Return usage in disjoint classes: OpenAI's prompt includes cached, its completion reasoning."""
    if usage is None or usage.prompt_tokens is None:
        return None
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    read = prompt.cached_tokens or usage.prompt_cache_hit_tokens or 0
    write = prompt.cache_write_tokens or 0
    output, reasoning = usage.completion_tokens or 0, completion.reasoning_tokens or 0
    if (usage.total_tokens or 0) - usage.prompt_tokens - output == reasoning:
        output += reasoning  # xAI counts reasoning beside the completion, not inside
    return Usage(
        input_uncached=max(0, usage.prompt_tokens - read - write),
        cache_read=read,
        cache_write=write,
        output_text=max(0, output - reasoning),
        reasoning=reasoning,
    )

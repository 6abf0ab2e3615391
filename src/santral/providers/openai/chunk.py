"""The chunks of an OpenAI chat stream as deltas, and the habits of those who imitate it mended.

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
from msgspec import Raw

from santral.errors import ProviderError, ProviderUnreachable
from santral.providers.decoded import decoded
from santral.providers.openai.answer import (
    NO_CONTENT,
    WireAnswer,
    WireChoice,
    WireContent,
    WireFunction,
    WireToolCall,
    answer_decoder,
    finish_of,
    reasoning_of,
    said_by,
    sources_of,
    text_of,
    tier_of,
    usage_of,
)
from santral.providers.openai.carried import Reasoned, logprobs_of, read_details, signature_of
from santral.providers.openai.error import error_inside
from santral.providers.openai.mend import Head, Mend, head_of, on_one_line
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.render import without_usage
from santral.wire.sse import Event, SseDecoder
from santral.wire.usage import BYTES_PER_TOKEN, Usage

_fields = msgspec.json.Decoder(dict[str, Raw])
_generic = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.encode
_KIND = "chat.completion.chunk"


class ChunkReader:
    """Reads the chunks of one stream from its bytes, in any split.

    An error inside the stream is raised by ``end``: the deltas before it are still an answer's
    beginning, so they are returned rather than lost.
    """

    __slots__ = (
        "_alike",
        "_calls",
        "_decoder",
        "_error",
        "_finished",
        "_head",
        "_held",
        "_is_at_end",
        "_mend",
        "_null_roles",
        "_open_reasoning",
        "_secret",
        "_seen",
        "_usage",
        "_usage_raw",
        "has_started",
        "is_done",
        "output_bytes",
    )

    def __init__(self, *, secret: str = "", null_roles: bool = False) -> None:
        """``null_roles`` says that deltas may hold ``"role":null``: it is taken out."""
        self._decoder = SseDecoder()
        self._null_roles = null_roles
        self._secret = secret
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[tuple[int, int], ToolCallDelta] = {}
        self._held: dict[str, Raw] = {}
        self._mend = Mend()
        self._usage: Usage | None = None
        self._usage_raw = b""
        self._head: Head | None = None
        self._alike: tuple[object, ...] = ()
        self._open_reasoning: dict[int, int] = {}  # characters that no detail has closed yet
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
        self._is_at_end = True
        if not self._decoder.pending:
            return []
        deltas = self.feed(b"\n\n")  # servers forget the last blank line
        if self._error is not None:
            self._error = ProviderUnreachable("The provider's stream was cut inside an event.")
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
        head = self._head or Head("", "", 0)
        return Delta(
            usage=usage, raw=self._usage_raw, id=head.id, model=head.model, created=head.created
        )

    def _forgotten_end(self) -> Delta:
        """[DONE] came and no finish_reason before it: say that the answer stopped."""
        choices = tuple(
            ChoiceDelta(index=index, finish_reason="stop")
            for index in sorted(self._seen - self._finished)
        )
        self._finished |= self._seen
        head = self._head or Head("", "", 0)
        return Delta(choices=choices, id=head.id, model=head.model, created=head.created)

    def _take(self, event: Event) -> Delta | None:
        if event.data == b"[DONE]":
            self.is_done = True
            return None
        raw = event.data
        if not raw or raw.isspace():  # not strip(): that would copy every chunk
            return None
        if b"\n" in raw:  # JSON over several data lines: on one line it can be sent on as it is
            raw = on_one_line(raw)
        if self._null_roles:  # within a text the quotes would stand behind backslashes
            raw = raw.replace(b'"role":null,', b"")
        answer = decoded(answer_decoder.decode, raw)
        if answer.error or event.name == b"error" or answer.object == "error":
            raise error_inside(answer.error or _generic.decode(raw), secret=self._secret)
        if answer.usage is not None:
            self._usage = usage_of(answer.usage) or self._usage
        if not answer.choices:
            self._hold(raw, answer)
            return None
        choices = answer.choices
        plain = self._plain(raw, answer, choices[0]) if len(choices) == 1 else None
        return plain or self._delta(raw, answer, choices)

    def _plain(self, raw: bytes, answer: WireAnswer, choice: WireChoice) -> Delta | None:
        """Return the delta of the common chunk, more text of an open choice, or None for another."""
        content, index, head = choice.delta, choice.index, self._head
        if content is None or index not in self._seen or index in self._finished or head is None:
            return None
        text = content.content
        # Everything of a chunk but its text, compared in one step. Measured: written out here and
        # not in a function, as this is done for every chunk of every stream.
        rest = (
            answer.id,
            answer.model,
            answer.created,
            answer.object,
            answer.usage,
            choice.finish_reason,
            choice.logprobs,
            content.role,
            content.refusal,
            content.reasoning_content,
            content.reasoning,
            content.reasoning_details,
            content.tool_calls,
            content.function_call,
            content.annotations,
            content.audio,
        )
        if rest != self._alike:
            return None
        if not isinstance(text, str) or self._held:
            return None
        if text:
            self.has_started = True
            self.output_bytes += len(text) if text.isascii() else len(text.encode())
        return Delta(
            choices=(ChoiceDelta(index, text),),
            usage=self._usage,
            raw=raw,
            id=head.id,
            model=head.model,
            created=head.created,
        )

    def _delta(self, raw: bytes, answer: WireAnswer, choices: list[WireChoice]) -> Delta | None:
        mended: list[ChoiceDelta] = []
        mend = self._mend
        for choice in choices:
            made = self._choice(answer, choice, mend)
            if made is not None:
                mended.append(made)
        if not mended:
            self._mend = Mend()
            return None
        head = self._head
        if head is None:
            head = self._head = head_of(answer)
            self._alike = (*head, _KIND, *_NOTHING)
        if (answer.id, answer.model, answer.created) != head or answer.object != _KIND:
            mend.fields = {**head._asdict(), "object": _KIND}
        if answer.usage is not None:
            raw = without_usage(raw)
        if self._held or mend.is_needed:
            mend.fields |= self._held
            self._held = {}
            raw = mend.apply(raw)
            self._mend = Mend()
        return Delta(
            choices=tuple(mended),
            usage=self._usage,
            raw=raw,
            id=head.id,
            model=head.model,
            created=head.created,
            service_tier=tier_of(answer),
        )

    def _choice(self, answer: WireAnswer, choice: WireChoice, mend: Mend) -> ChoiceDelta | None:
        content = choice.delta
        if content is None or choice.index is None or isinstance(content.content, list):
            mend.is_composed = True
            content = content or choice.message or NO_CONTENT
        index = choice.index or 0
        if index in self._finished:
            mend.is_composed = True
            return None
        self._check_role(index, content.role, mend)
        finish, native = finish_of(choice)
        if finish != choice.finish_reason and not native:
            mend.is_composed = True
        reasoned = self._reasoned(index, content)
        is_last = finish is not None
        made = ChoiceDelta(
            index=index,
            text=text_of(content),
            refusal=content.refusal or "",
            reasoning=reasoning_of(content) or reasoned.text,
            tool_calls=self._tool_calls(index, content, mend),
            finish_reason=finish,
            details=reasoned.details,
            # Perplexity repeats its sources in every chunk: they are taken from the last.
            annotations=sources_of(answer, content) if is_last or content.annotations else (),
            logprobs=logprobs_of(choice.logprobs) if choice.logprobs is not None else b"",
            native_finish=native,
        )
        if finish == "stop" and self._open_calls(index, is_new=True):
            # TGI ends so, and OpenAI after a call it was told to make. Its bytes stay as they are.
            made = msgspec.structs.replace(made, finish_reason="tool_calls")
        self._count(made)
        return made

    def _reasoned(self, index: int, content: WireContent) -> Reasoned:
        """Return the reasoning details, and keep count of what they close."""
        said = len(reasoning_of(content))
        if content.reasoning_details is None:
            if said:
                self._open_reasoning[index] = self._open_reasoning.get(index, 0) + said
            return _NO_REASONING
        before = self._open_reasoning.get(index, 0)
        reasoned = read_details(content.reasoning_details, before)
        open_ = before + (len(reasoned.text) or said)
        self._open_reasoning[index] = 0 if reasoned.details else open_
        return reasoned

    def _check_role(self, index: int, role: str | None, mend: Mend) -> None:
        if index not in self._seen:
            self._seen.add(index)
            if role is None:
                mend.roles[index] = True
        elif role is not None:  # Ollama and Together repeat it; SDKs join the repetitions
            mend.roles[index] = False

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
        self, choice: int, content: WireContent, mend: Mend
    ) -> tuple[ToolCallDelta, ...]:
        if content.function_call is not None:
            return (self._legacy_call(choice, content.function_call),)
        if not content.tool_calls:
            return ()
        return tuple(self._tool_call(choice, call, mend) for call in content.tool_calls)

    def _legacy_call(self, choice: int, function: WireFunction) -> ToolCallDelta:
        """Return a piece of OpenAI's first form of a tool call, whose bytes need no mending."""
        name, arguments = said_by(WireToolCall(function=function))
        if (choice, 0) in self._calls:
            return ToolCallDelta(arguments=arguments)
        made = ToolCallDelta(id=f"call_{choice}_0", name=name, arguments=arguments)
        self._calls[choice, 0] = made
        return made

    def _tool_call(self, choice: int, call: WireToolCall, mend: Mend) -> ToolCallDelta:
        index = call.index
        if index is None:  # Gemini's imitation: a new id is a new call
            mend.is_composed = True
            index = self._open_calls(choice, is_new=bool(call.id))
        if call.function is not None and isinstance(call.function.arguments, dict):
            mend.is_composed = True
        name, arguments = said_by(call)
        seen = self._calls.get((choice, index))
        if seen is None:
            return self._new_call(choice, index, call, mend)
        if call.id or name:  # llama.cpp repeats both (its pull request 12379)
            mend.is_composed = True
        return ToolCallDelta(
            index=index,
            arguments=arguments,
            signature=signature_of(call.extra_content),
            kind=seen.kind,
        )

    def _new_call(self, choice: int, index: int, call: WireToolCall, mend: Mend) -> ToolCallDelta:
        name, arguments = said_by(call)
        made = ToolCallDelta(
            index=index,
            id=call.id or f"call_{choice}_{index}",
            name=name,
            arguments=arguments,
            signature=signature_of(call.extra_content),
            kind="function" if call.custom is None else "custom",
        )
        if not call.id:
            mend.is_composed = True
        self._calls[choice, index] = made
        return made

    def _open_calls(self, choice: int, *, is_new: bool) -> int:
        count = sum(1 for of_choice, _ in self._calls if of_choice == choice)
        return count if is_new or not count else count - 1

    def _hold(self, raw: bytes, answer: WireAnswer) -> None:
        """Keep what a chunk without choices says: usage for the end, Azure's filter for the next."""
        if answer.usage is not None:
            is_alike = (answer.id, answer.model, answer.created) == self._head
            is_usage_chunk = answer.choices is not None and answer.object == _KIND
            self._usage_raw = raw if is_alike and is_usage_chunk else b""
        elif not self._seen:
            known = (*WireAnswer.__struct_fields__, "object")
            self._held = {k: v for k, v in _fields.decode(raw).items() if k not in known}


_NOTHING = (None,) * 12
_NO_REASONING = Reasoned()

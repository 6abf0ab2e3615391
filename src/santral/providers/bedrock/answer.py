"""Bedrock's answers as deltas: the frames of ConverseStream, and Converse's whole answer block by block.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html,
botocore 1.44 (bedrock-runtime 2023-09-30).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from santral.errors import ProviderFailed, ProviderGarbled, ProviderUnreachable
from santral.providers.bedrock.cited import Citation, as_annotations
from santral.providers.bedrock.error import frame_error
from santral.providers.bedrock.frames import Frame
from santral.providers.bedrock.shapes import (
    Event,
    Extra,
    Reasoning,
    TokenUsage,
    Tool,
    Whole,
    block_decoder,
    event_decoder,
    usage_of,
    whole_decoder,
)
from santral.providers.conversation.messages import SPAN
from santral.providers.decoded import decoded
from santral.wire.chat import NULL
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail, ToolCallDelta

#: Claude's reasoning, whoever serves it: it may go back to Bedrock and to Anthropic alike.
FORMAT = "anthropic-claude-v1"

#: The ``id`` of a redacted block that is no text of Anthropic's: it goes back as the bytes it came as.
AS_BYTES = "bytes"

#: The tool that stands for a schema where a model takes none; its input is the answer.
ANSWER_TOOL = "answer"

#: Source: StopReason of the reference.
FINISH: dict[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})


_string = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode


class ConverseReader:
    """Reads one answer. ``answer_tool`` says that a tool's input is the answer's text."""

    def __init__(self, model: str, *, answer_tool: bool = False, secret: str = "") -> None:
        self._head = Delta(model=model)
        self._answers_by_tool = answer_tool
        self._secret = secret
        self._calls: dict[int, int] = {}  # a tool's block -> the number of its call
        self._answer_block = -1
        self._span = 0  # characters of reasoning since the last signature
        self._said: list[str] = []
        self._stop = ""
        self._stop_sequence = ""
        self._usage: TokenUsage | None = None
        self._trace = NULL
        self.said_bytes = 0

    @property
    def has_started(self) -> bool:
        """Whether anything was said."""
        return self.said_bytes > 0

    @property
    def is_finished(self) -> bool:
        """Whether the model stopped; usage may still come."""
        return bool(self._stop)

    def feed(self, frame: Frame) -> list[Delta]:
        """Return the deltas of one frame.

        Raises:
            ProviderGarbled: its payload is not what it should be.
            ProviderError: it is an exception.
        """
        if frame.headers.get(":message-type", "event") != "event":
            raise frame_error(frame, secret=self._secret)
        kind = frame.headers.get(":event-type", "")
        event = decoded(event_decoder.decode, frame.payload)
        choices: list[ChoiceDelta] = []
        if kind == "contentBlockStart" and event.start is not None:
            choices = [*self._start(event.content_block_index, event.start.tool_use)]
        elif kind == "contentBlockDelta" and event.delta != NULL:
            choices = [*self._more(event.content_block_index, event.delta)]
        elif kind in ("messageStop", "metadata"):
            self._note(event)
        return [self._delta(choice) for choice in choices]

    def whole(self, body: bytes) -> list[Delta]:
        """Return the deltas of Converse's answer, its blocks in order; errors as ``feed``."""
        read = decoded(whole_decoder.decode, body)
        if read.output is None or read.output.message is None:
            raise ProviderGarbled("The provider's answer has no message.")
        self._note(read)
        return [
            self._delta(choice)
            for at, raw in enumerate(read.output.message.content)
            for choice in self._block(at, raw)
        ]

    def end(self) -> list[Delta]:
        """Return why it ended, and usage in the last delta where there is any.

        Raises:
            ProviderUnreachable: the answer was cut.
            ProviderFailed: the model broke off with nothing said.
        """
        if not self._stop:
            raise ProviderUnreachable("The provider's answer was cut: it has no stopReason.")
        if self._stop in _BROKEN and not self.has_started:
            raise ProviderFailed(
                f"The model broke off with nothing said ({self._stop}).", upstream_status=200
            )
        deltas = [self._delta(self._ended())]
        if self._trace != NULL:
            block = NativeBlock("bedrock", _encode({"trace": self._trace}))
            deltas.insert(0, self._delta(ChoiceDelta(native=(block,))))
        if self._usage is not None:
            deltas.append(msgspec.structs.replace(self._head, usage=usage_of(self._usage)))
        return deltas

    def _ended(self) -> ChoiceDelta:
        reason = FINISH.get(self._stop, "stop")
        if reason == "tool_calls" and not self._calls:
            reason = "stop"  # the only tool was the answer itself
        native = "" if self._stop in ("end_turn", "tool_use", "max_tokens") else self._stop
        return ChoiceDelta(
            finish_reason=reason, native_finish=native, stop_sequence=self._stop_sequence
        )

    def _delta(self, choice: ChoiceDelta) -> Delta:
        return msgspec.structs.replace(self._head, choices=(choice,))

    def _note(self, event: Event | Whole) -> None:
        self._stop = event.stop_reason or self._stop
        self._usage = event.usage or self._usage
        if event.trace != NULL:
            self._trace = event.trace
        extra = event.additional_model_response_fields
        inner = extra.delta or extra if extra is not None else Extra()
        self._stop_sequence = inner.stop_sequence or self._stop_sequence
        if event.service_tier is not None:
            self._head = msgspec.structs.replace(self._head, service_tier=event.service_tier.type)

    def _start(self, index: int, tool: Tool | None) -> Iterator[ChoiceDelta]:
        if tool is None:
            return
        self.said_bytes += len(tool.name)
        if self._answers_by_tool and tool.name == ANSWER_TOOL:
            self._answer_block = index
            return
        number = self._calls[index] = len(self._calls)
        yield ChoiceDelta(tool_calls=(ToolCallDelta(number, tool.tool_use_id, tool.name),))

    def _more(self, index: int, raw: Raw) -> Iterator[ChoiceDelta]:
        block = decoded(block_decoder.decode, raw)
        self.said_bytes += len(raw)
        if block.tool_use is not None:
            yield from self._input(index, decoded(_string.decode, block.tool_use.input))
        elif block.text is not None:
            yield from self._text(block.text)
        elif block.reasoning_content is not None:
            yield from self._reasoning(block.reasoning_content)
        elif block.citation is not None:
            yield from self._cited([block.citation])
        else:
            yield ChoiceDelta(native=(NativeBlock("bedrock", bytes(raw)),))

    def _block(self, index: int, raw: Raw) -> Iterator[ChoiceDelta]:
        """Yield a block of a whole answer, in the steps in which a stream brings it."""
        block = decoded(block_decoder.decode, raw)
        if block.tool_use is not None:
            yield from self._start(index, block.tool_use)
            if block.tool_use.input != NULL:
                yield from self._input(index, bytes(block.tool_use.input).decode())
        elif block.reasoning_content is not None and block.reasoning_content.reasoning_text:
            self.said_bytes += len(raw)
            yield from self._reasoning(block.reasoning_content.reasoning_text)
        elif block.citations_content is not None:
            self.said_bytes += len(raw)
            for said in block.citations_content.content:
                yield from self._text(said.text)
            yield from self._cited(block.citations_content.citations)
        else:
            yield from self._more(index, raw)

    def _input(self, index: int, fragment: str) -> Iterator[ChoiceDelta]:
        if index == self._answer_block:
            yield from self._text(fragment)
        elif index in self._calls and fragment:
            call = ToolCallDelta(self._calls[index], arguments=fragment)
            yield ChoiceDelta(tool_calls=(call,))

    def _text(self, text: str) -> Iterator[ChoiceDelta]:
        if text:
            self._said.append(text)
            yield ChoiceDelta(text=text)

    def _cited(self, cited: list[Citation]) -> Iterator[ChoiceDelta]:
        made = as_annotations(cited, sum(map(len, self._said)))
        if made:
            yield ChoiceDelta(annotations=made)

    def _reasoning(self, reasoning: Reasoning) -> Iterator[ChoiceDelta]:
        if reasoning.text:
            self._span += len(reasoning.text)
            yield ChoiceDelta(reasoning=reasoning.text)
        if reasoning.signature:
            span, self._span = f"{SPAN}{self._span}", 0
            signed = ReasoningDetail(signature=reasoning.signature, id=span, format=FORMAT)
            yield ChoiceDelta(details=(signed,))
        if reasoning.redacted_content:
            yield ChoiceDelta(details=(_redacted(reasoning.redacted_content),))


def _redacted(blob: str) -> ReasoningDetail:
    """Return redacted reasoning as Anthropic's ``data``: Bedrock wraps it in base64 once more."""
    try:
        data = base64.b64decode(blob, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        data = ""
    if not data or base64.b64encode(data.encode()).decode() != blob:
        return ReasoningDetail(type="encrypted", data=blob, id=AS_BYTES, format=FORMAT)
    return ReasoningDetail(type="encrypted", data=data, format=FORMAT)

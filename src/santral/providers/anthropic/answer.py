"""Anthropic's answers as deltas in the order of their blocks, streamed and whole.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming. Lines are padded with spaces,
pings and events nobody knows are passed over, numbers of ``message_delta.usage`` are totals.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from santral.errors import ProviderError, ProviderGarbled, ProviderUnreachable
from santral.providers.anthropic.error import error_inside
from santral.providers.anthropic.events import (
    Answer,
    Stop,
    StreamEvent,
    explanation_of,
    read_answer,
    read_event,
    read_stop,
)
from santral.providers.anthropic.open import Place
from santral.providers.anthropic.pieces import OpenBlock
from santral.providers.decoded import decoded
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock
from santral.wire.messages import FINISH_OF, MESSAGES, NONE, MessagesUsage
from santral.wire.sse import Event, SseDecoder
from santral.wire.usage import BYTES_PER_TOKEN, Usage


class AnswerReader:
    """Reads one answer. An error inside a stream is raised by ``end``, after what came before it.

    ``custom_tools`` are those whose arguments the caller wants as plain text, ``answer_tool`` is the
    one whose arguments are the answer itself.
    """

    __slots__ = (
        "_answer_tool",
        "_block",
        "_block_index",
        "_calls",
        "_created",
        "_custom_tools",
        "_decoder",
        "_error",
        "_follows_text",
        "_handlers",
        "_id",
        "_is_at_end",
        "_is_stopped",
        "_model",
        "_secret",
        "_stop",
        "_texts",
        "_usage",
        "is_alive",
        "output_bytes",
    )

    def __init__(
        self,
        created: int,
        *,
        secret: str = "",
        custom_tools: frozenset[str] = frozenset(),
        answer_tool: str = "",
    ) -> None:
        self._decoder = SseDecoder()
        self._created = created
        self._secret = secret
        self._custom_tools = custom_tools
        self._answer_tool = answer_tool
        self._id = self._model = ""
        self._block: OpenBlock | None = None
        self._block_index = -1
        self._follows_text = False  # the last block was a text
        self._calls = 0
        self._texts = 0  # characters of text so far: where an annotation of the next block begins
        self._stop: Stop | None = None
        self._usage: MessagesUsage | None = None
        self._error: ProviderError | None = None
        self._is_at_end = False
        self._is_stopped = False  # message_stop has come
        self.is_alive = False  # the last bytes moved the answer on
        self.output_bytes = 0
        self._handlers = {
            "message_start": self._on_start,
            "content_block_start": self._on_block,
            "content_block_delta": self._on_delta,
            "content_block_stop": self._on_block_stop,
            "message_delta": self._on_message_delta,
            "message_stop": self._on_stop,
            "error": self._on_error,
        }

    @property
    def is_finished(self) -> bool:
        """Whether the answer has said why it ended."""
        return self._stop is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing further is to be read: the end came, or an error."""
        return self._is_stopped or self._is_at_end or self._error is not None

    def feed(self, data: bytes) -> list[Delta]:
        """Return the deltas that ``data`` completes."""
        deltas: list[Delta] = []
        self.is_alive = False
        try:
            for event in self._decoder.feed(data):
                deltas += self._take(event)
                if self._is_stopped:
                    break
        except ProviderError as error:
            self._error = error
        return deltas

    def end_bytes(self) -> list[Delta]:
        """Take note that no bytes follow."""
        self._is_at_end = True
        if not self._decoder.pending:
            return []
        deltas = self.feed(b"\n\n")  # a last blank line may be forgotten
        if self._error is not None:
            self._error = ProviderUnreachable("The provider's stream was cut inside an event.")
        return deltas

    def read_whole(self, body: bytes) -> list[Delta]:
        """Return the deltas of an answer that was not streamed; ``end`` gives the rest.

        Raises:
            ProviderError: it is no message, or an error inside the 200.
        """
        message = read_answer(body)
        if message.type == "error" or message.error is not None:
            raise error_inside(message.error, secret=self._secret)
        if message.type != "message":
            raise ProviderGarbled("The provider's answer is no message.")
        self._is_stopped = True
        return self._begin(message)

    def end(self, estimate_input: Callable[[], int]) -> list[Delta]:
        """Return what ends the answer, its usage last.

        ``estimate_input`` is asked for the input's tokens only where the provider gave no usage.

        Raises:
            ProviderUnreachable: the stream was cut before its end.
            ProviderError: an error came inside the stream, or bytes that are not the protocol.
        """
        if self._stop is None:
            if self._error is not None:
                raise self._error
            raise ProviderUnreachable("The provider's stream was cut before its end.")
        deltas = self._close()
        return [*deltas, self._delta(self._ending(self._stop)), self._usage_delta(estimate_input)]

    def _take(self, event: Event) -> list[Delta]:
        if event.name == b"ping":
            self.is_alive = self.is_alive or self._thinks
            return []
        read = read_event(event.data)
        handler = self._handlers.get(read.type)
        if handler is None:
            return []
        self.is_alive = True
        return handler(read)

    @property
    def _thinks(self) -> bool:
        """Thinking that is not shown has no deltas: there a ping says that it goes on."""
        return self._block is not None and self._block.is_silent

    def _on_start(self, event: StreamEvent) -> list[Delta]:
        return [] if event.message is None else self._begin(event.message)

    def _begin(self, message: Answer) -> list[Delta]:
        """Take the head of an answer, and blocks that are in it already."""
        self._id, self._model = message.id or self._id, message.model or self._model
        self._note(message.usage)
        deltas: list[Delta] = []
        for block in message.content:
            deltas += self._open(block) + self._close()
        if message.stop_reason is not None:
            self._stop = Stop(message.stop_reason, message.stop_sequence, message.stop_details)
        return deltas

    def _on_block(self, event: StreamEvent) -> list[Delta]:
        closed = self._close()  # a stop that was forgotten
        self._block_index = event.index
        return closed + self._open(event.content_block)

    def _on_delta(self, event: StreamEvent) -> list[Delta]:
        if self._block is None or event.index != self._block_index:
            raise ProviderGarbled("The provider's stream goes on with a block that is not open.")
        return self._pieces(decoded(self._block.add, event.delta))

    def _on_block_stop(self, event: StreamEvent) -> list[Delta]:
        return self._close()

    def _on_message_delta(self, event: StreamEvent) -> list[Delta]:
        closed = self._close()
        self._note(event.usage)
        stop = read_stop(bytes(event.delta) or b"{}")
        if stop.stop_reason is not None:
            self._stop = stop
        return closed

    def _on_stop(self, event: StreamEvent) -> list[Delta]:
        self._is_stopped = True
        return self._close()

    def _on_error(self, event: StreamEvent) -> list[Delta]:
        raise error_inside(event.error, secret=self._secret)

    def _open(self, block: Raw) -> list[Delta]:
        place = Place(
            self._calls, self._texts, self._follows_text, self._custom_tools, self._answer_tool
        )
        self._block = opened = decoded(place.open, block)
        self._calls += opened.is_call
        return self._pieces(opened.opening())

    def _close(self) -> list[Delta]:
        block, self._block = self._block, None
        if block is None:
            return []
        self._follows_text = block.is_text
        return self._pieces(decoded(lambda _: block.closing(), NONE))

    def _pieces(self, choices: list[ChoiceDelta]) -> list[Delta]:
        for choice in choices:
            self._texts += len(choice.text)
            self.output_bytes += len(choice.text) + len(choice.reasoning)
            self.output_bytes += sum(len(c.name) + len(c.arguments) for c in choice.tool_calls)
        return [self._delta(choice) for choice in choices]

    def _delta(self, choice: ChoiceDelta) -> Delta:
        return Delta(choices=(choice,), id=self._id, model=self._model, created=self._created)

    def _note(self, usage: MessagesUsage | None) -> None:
        if usage is not None:
            self._usage = usage if self._usage is None else self._usage.updated(usage)

    def _ending(self, stop: Stop) -> ChoiceDelta:
        reason = stop.stop_reason or "end_turn"
        finish = FINISH_OF.get(reason, "stop")
        if finish == "tool_calls" and not self._calls:
            finish = "stop"  # the one tool was the answer
        details = bytes(stop.stop_details)
        refused = reason == "refusal" and details not in (b"", b"null")
        return ChoiceDelta(
            refusal=explanation_of(details) if refused else "",
            finish_reason=finish,
            native_finish=reason,
            native=(NativeBlock(MESSAGES, details),) if refused else (),
            stop_sequence=stop.stop_sequence or "",
        )

    def _usage_delta(self, estimate_input: Callable[[], int]) -> Delta:
        tier = ""
        if self._usage is not None and self._usage.output_tokens is not None:
            usage, tier = self._usage.classes, self._usage.service_tier or ""
        else:
            usage = Usage(
                input_uncached=estimate_input(),
                output_text=int(self.output_bytes / BYTES_PER_TOKEN) + 1,
                is_estimated=True,
            )
        return Delta(
            usage=usage, id=self._id, model=self._model, created=self._created, service_tier=tier
        )

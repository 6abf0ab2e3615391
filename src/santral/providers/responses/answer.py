"""Reads answers of the Responses protocol, whole and streamed, as deltas in the order of their items.

Nothing is taken for granted that some server leaves out: sequence numbers, deltas before a ``done``,
items before their deltas, steady ids (GitHub's change with every event, so positions come first).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import ProviderGarbled, ProviderUnreachable
from santral.providers.decoded import decoded
from santral.providers.openai.error import error_inside
from santral.providers.responses.wire import (
    NONE,
    Event,
    OutputItem,
    Part,
    Response,
    event_decoder,
    head_decoder,
    item_decoder,
    response_decoder,
    usage_of,
)
from santral.wire.delta import (
    ChoiceDelta,
    Delta,
    NativeBlock,
    ReasoningDetail,
    ToolCallDelta,
)
from santral.wire.responses import DIALECT, OPENAI
from santral.wire.sse import Event as SseEvent

#: Items of the internal form; all others are native blocks.
_KNOWN = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
_CALLS = frozenset({"function_call", "custom_tool_call"})
_FINISHES = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
#: Stands between the paragraphs of a summary, which come as parts.
_BETWEEN = "\n\n"

_annotation = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


class _Item(Struct):
    """What has been said of one item."""

    said: dict[str, list[str]]  # in pieces, by what it is and which part of the item
    call: int | None = None
    annotations: int = 0
    is_done: bool = False


class ResponsesReader:
    """Reads one answer; ``is_finished`` after its last event."""

    def __init__(self, *, secret: str = "") -> None:
        self._secret = secret
        self._head = Delta()
        self._items: dict[int | str, _Item] = {}
        self._last: int | str = 0
        self._calls = 0
        self.is_finished = False
        self.has_started = False
        self.said_bytes = 0

    def read_whole(self, body: bytes) -> list[Delta]:
        """Return the deltas of a whole response.

        Raises:
            ProviderGarbled: no response.
            ProviderError: it failed.
        """
        response = decoded(response_decoder.decode, body)
        if response.error or response.status == "failed":
            raise error_inside(response.error, secret=self._secret)
        if response.output is None:
            raise ProviderGarbled("The provider's answer has no output.")
        self._note(response)
        return self._finish(response)

    def feed(self, event: SseEvent) -> list[Delta]:
        """Return the deltas of one event; errors as ``read_whole``."""
        if self.is_finished or event.data == b"[DONE]":
            return []
        read = decoded(event_decoder.decode, event.data)
        handle = _HANDLERS.get(read.type or event.name.decode("latin-1"))
        return handle(self, read) if handle else []

    def end(self) -> None:
        """Say that no more bytes come.

        Raises:
            ProviderUnreachable: the answer has no end.
        """
        if not self.is_finished:
            raise ProviderUnreachable("The provider's stream was cut before its end.")

    def on_progress(self, event: Event) -> list[Delta]:
        if event.response is not None:
            self._note(event.response)
        return []

    def on_terminal(self, event: Event) -> list[Delta]:
        response = event.response or Response()
        if response.error:
            raise error_inside(response.error, secret=self._secret)
        self._note(response)
        return self._finish(response)

    def on_failure(self, event: Event) -> list[Delta]:
        failed = event.response.error if event.response is not None else event.error
        flat = {"code": event.code, "message": event.message, "param": event.param}
        raise error_inside(failed or flat, secret=self._secret)

    def on_item_added(self, event: Event) -> list[Delta]:
        item = self._item_of(event)
        if decoded(head_decoder.decode, bytes(event.item) or b"{}").type not in _CALLS:
            return []
        read = decoded(item_decoder.decode, event.item)
        return self._open_call(item, read) + self._say_call(item, read.arguments or read.input)

    def on_item_done(self, event: Event) -> list[Delta]:
        return self._complete(self._item_of(event), event.item)

    def on_text(self, event: Event) -> list[Delta]:
        place = f"text {event.content_index or 0}"
        return self._say(self._item_of(event), place, event.delta, "text", event.logprobs)

    def on_text_done(self, event: Event) -> list[Delta]:
        place = f"text {event.content_index or 0}"
        return self._say_rest(self._item_of(event), place, event.text, "text")

    def on_refusal(self, event: Event) -> list[Delta]:
        place = f"refusal {event.content_index or 0}"
        return self._say(self._item_of(event), place, event.delta, "refusal")

    def on_refusal_done(self, event: Event) -> list[Delta]:
        place = f"refusal {event.content_index or 0}"
        return self._say_rest(self._item_of(event), place, event.refusal, "refusal")

    def on_reasoning(self, event: Event) -> list[Delta]:
        item = self._item_of(event)
        return self._think(item, _thought(event), event.delta)

    def on_reasoning_done(self, event: Event) -> list[Delta]:
        item, place = self._item_of(event), _thought(event)
        return self._think(item, place, _rest(item, place, event.text))

    def on_call(self, event: Event) -> list[Delta]:
        item = self._item_of(event)
        return self._say_call(item, event.delta)

    def on_call_done(self, event: Event) -> list[Delta]:
        item = self._item_of(event)
        said = event.arguments if event.arguments is not None else event.input
        return self._say_call(item, _rest(item, "call", said))

    def on_annotation(self, event: Event) -> list[Delta]:
        item = self._item_of(event)
        item.annotations += 1
        return [self._delta(ChoiceDelta(annotations=(_nested(event.annotation),)))]

    def _item_of(self, event: Event) -> _Item:
        key = event.output_index if event.output_index is not None else event.item_id
        if key is None:
            key = self._last
        self._last = key
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item({})
        return item

    def _say(
        self, item: _Item, place: str, text: Any, kind: str, logprobs: Raw = NONE
    ) -> list[Delta]:
        if not (isinstance(text, str) and text):
            return []
        item.said.setdefault(place, []).append(text)
        return [self._delta(_SAYINGS[kind](text, _logprobs(logprobs)), text)]

    def _say_rest(self, item: _Item, place: str, whole: Any, kind: str) -> list[Delta]:
        return self._say(item, place, _rest(item, place, whole), kind)

    def _think(self, item: _Item, place: str, text: Any) -> list[Delta]:
        between: list[Delta] = []
        if place not in item.said and item.said and isinstance(text, str) and text:
            between = self._say(item, f"before {place}", _BETWEEN, "reasoning")
        return between + self._say(item, place, text, "reasoning")

    def _open_call(self, item: _Item, read: OutputItem) -> list[Delta]:
        if item.call is not None:
            return []
        item.call, self._calls = self._calls, self._calls + 1
        call = ToolCallDelta(
            index=item.call,
            id=read.call_id or read.id or f"call_{item.call}",
            name=read.name or "",
            kind="custom" if read.type == "custom_tool_call" else "function",
        )
        return [self._delta(ChoiceDelta(tool_calls=(call,)))]

    def _say_call(self, item: _Item, text: Any) -> list[Delta]:
        if item.call is None or not (isinstance(text, str) and text):
            return []  # without its item nobody knows what is called; that comes with its end
        item.said.setdefault("call", []).append(text)
        call = ToolCallDelta(index=item.call, arguments=text)
        return [self._delta(ChoiceDelta(tool_calls=(call,)), text)]

    def _complete(self, item: _Item, raw: Raw) -> list[Delta]:
        """Return what of a whole item has not been said yet."""
        kind = decoded(head_decoder.decode, bytes(raw) or b"{}").type
        if item.is_done or not kind:
            return []
        item.is_done = True
        if kind not in _KNOWN:
            return [self._delta(ChoiceDelta(native=(NativeBlock(DIALECT, bytes(raw)),)))]
        read = decoded(item_decoder.decode, raw)
        if kind == "message":
            return self._complete_message(item, read)
        if kind == "reasoning":
            return self._complete_reasoning(item, read)
        said = read.arguments if read.arguments is not None else read.input
        opened = self._open_call(item, read)
        return opened + self._say_call(item, _rest(item, "call", said))

    def _complete_message(self, item: _Item, read: OutputItem) -> list[Delta]:
        deltas: list[Delta] = []
        for number, part in enumerate(read.content or ()):
            if part.refusal is not None:
                place = f"refusal {number}"
                deltas += self._say_rest(item, place, part.refusal, "refusal")
                continue
            place = f"text {number}"
            rest = _rest(item, place, part.text)
            logprobs = NONE if item.said.get(place) else part.logprobs
            deltas += self._say(item, place, rest, "text", logprobs)
            if not item.annotations and part.annotations:
                annotations = tuple(map(_nested, part.annotations))
                deltas.append(self._delta(ChoiceDelta(annotations=annotations)))
        return deltas

    def _complete_reasoning(self, item: _Item, read: OutputItem) -> list[Delta]:
        deltas: list[Delta] = []
        for name, parts in (("summary", read.summary), ("content", read.content)):
            deltas += self._complete_thoughts(item, name, parts or ())
        if read.encrypted_content:
            detail = ReasoningDetail(
                "encrypted", data=read.encrypted_content, id=read.id or "", format=OPENAI
            )
            deltas.append(self._delta(ChoiceDelta(details=(detail,))))
        return deltas

    def _complete_thoughts(self, item: _Item, name: str, parts: Iterable[Part]) -> list[Delta]:
        deltas: list[Delta] = []
        for number, part in enumerate(parts):
            place = f"{name} {number}"
            deltas += self._think(item, place, _rest(item, place, part.text))
        return deltas

    def _note(self, response: Response) -> None:
        head = self._head
        self._head = Delta(
            id=response.id or head.id,
            model=response.model or head.model,
            created=int(response.created_at or head.created),
            service_tier=response.service_tier or head.service_tier,
        )

    def _finish(self, response: Response) -> list[Delta]:
        """Return what nobody has said yet, why the answer ended, and what it used."""
        self.is_finished = True
        deltas: list[Delta] = []
        if not self._items:
            for raw in response.output or ():
                deltas += self._complete(_Item({}), raw)
        details = response.incomplete_details
        reason = (details.reason if details is not None else None) or ""
        finish = _FINISHES.get(reason, "length") if response.status == "incomplete" else ""
        finish = finish or ("tool_calls" if self._calls else "stop")
        deltas.append(self._delta(ChoiceDelta(finish_reason=finish, native_finish=reason)))
        usage = usage_of(response)
        if usage is not None:
            deltas.append(msgspec.structs.replace(self._head, usage=usage))
        return deltas

    def _delta(self, choice: ChoiceDelta, said: str = "") -> Delta:
        self.has_started = True
        self.said_bytes += len(said.encode())
        return msgspec.structs.replace(self._head, choices=(choice,))


_HANDLERS: dict[str, Callable[[ResponsesReader, Event], list[Delta]]] = {
    "response.created": ResponsesReader.on_progress,
    "response.queued": ResponsesReader.on_progress,
    "response.in_progress": ResponsesReader.on_progress,
    "response.output_item.added": ResponsesReader.on_item_added,
    "response.output_item.done": ResponsesReader.on_item_done,
    "response.output_text.delta": ResponsesReader.on_text,
    "response.output_text.done": ResponsesReader.on_text_done,
    "response.output_text.annotation.added": ResponsesReader.on_annotation,
    "response.refusal.delta": ResponsesReader.on_refusal,
    "response.refusal.done": ResponsesReader.on_refusal_done,
    "response.reasoning_summary_text.delta": ResponsesReader.on_reasoning,
    "response.reasoning_summary_text.done": ResponsesReader.on_reasoning_done,
    "response.reasoning_text.delta": ResponsesReader.on_reasoning,
    "response.reasoning_text.done": ResponsesReader.on_reasoning_done,
    "response.function_call_arguments.delta": ResponsesReader.on_call,
    "response.function_call_arguments.done": ResponsesReader.on_call_done,
    "response.custom_tool_call_input.delta": ResponsesReader.on_call,
    "response.custom_tool_call_input.done": ResponsesReader.on_call_done,
    "response.completed": ResponsesReader.on_terminal,
    "response.incomplete": ResponsesReader.on_terminal,
    "response.failed": ResponsesReader.on_failure,
    "error": ResponsesReader.on_failure,
}


#: A piece of each kind of text, as a delta says it.
_SAYINGS: dict[str, Callable[[str, bytes], ChoiceDelta]] = {
    "text": lambda text, logprobs: ChoiceDelta(text=text, logprobs=logprobs),
    "refusal": lambda text, logprobs: ChoiceDelta(refusal=text),
    "reasoning": lambda text, logprobs: ChoiceDelta(reasoning=text),
}


def _thought(event: Event) -> str:
    """Return which piece of reasoning an event is about: a part of the summary, or of the text."""
    if event.summary_index is not None or "summary" in event.type:
        return f"summary {event.summary_index or 0}"
    return f"content {event.content_index or 0}"


def _rest(item: _Item, place: str, whole: Any) -> str:
    """Return what ``whole`` says beyond what was said; where they differ, that stands."""
    if not isinstance(whole, str):
        return ""
    said = "".join(item.said.get(place, ()))
    return whole[len(said) :] if whole.startswith(said) else ""


def _logprobs(raw: Raw) -> bytes:
    return b"" if bytes(raw) in (b"", b"null", b"[]") else b'{"content":%b}' % bytes(raw)


def _nested(raw: Raw) -> Raw:
    """Return an annotation in the form of chat completions, which put its fields a level deeper."""
    fields = _annotation.decode(raw)
    if bytes(fields.get("type", b"")) != b'"url_citation"' or "url_citation" in fields:
        return raw
    inner = {name: value for name, value in fields.items() if name != "type"}
    return Raw(_encode({"type": "url_citation", "url_citation": inner}))

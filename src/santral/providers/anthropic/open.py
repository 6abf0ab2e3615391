"""One content block of an answer while it is open: what its pieces are for the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from santral.providers.anthropic.calls import AnswerCall, Call, CustomCall, WholeBlock
from santral.providers.anthropic.pieces import BlockStart, OpenBlock, read_piece, read_start
from santral.providers.conversation.messages import SPAN
from santral.wire.delta import ChoiceDelta, ReasoningDetail
from santral.wire.messages import CLAUDE_FORMAT, MESSAGES


class _Citation(Struct, frozen=True):
    type: str = ""
    url: str | None = None
    title: str | None = None


_citation = msgspec.json.Decoder(_Citation)
_encode = msgspec.json.Encoder().encode


class Place(NamedTuple):
    """What the answer so far and its request say about the block that comes next."""

    call_index: int
    text_start: int
    follows_text: bool
    custom_tools: frozenset[str]
    answer_tool: str

    def open(self, raw: Raw) -> OpenBlock:
        """Return the open block for the ``content_block`` of its start event.

        A tool call that a tool of the provider's made, or one of its tool sets, is native: its
        caller has to come back with it, which nobody but a client of this protocol can do.
        """
        start = read_start(raw)
        build = _BUILDERS.get(start.type)
        if build is not None:
            return build(start, self)
        is_call = start.type == "tool_use"
        is_plain = start.caller is None or start.caller.type == "direct"
        if not (is_call and is_plain and start.toolset_name is None):
            return WholeBlock(raw, is_call=is_call)
        if self.answer_tool and start.name == self.answer_tool:
            return AnswerCall(start)
        is_custom = start.name in self.custom_tools
        return (CustomCall if is_custom else Call)(start, self.call_index)


class _Text:
    is_text, is_call, is_silent = True, False, False

    def __init__(self, start: BlockStart, place: Place) -> None:
        self._given = start.text or ""
        self._begin = self._end = place.text_start
        self._is_second = place.follows_text
        self._citations: list[Raw] = list(start.citations or ())

    def opening(self) -> list[ChoiceDelta]:
        return self._said(self._given)

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        piece = read_piece(delta)
        if bytes(piece.citation):
            self._citations.append(piece.citation)
        return self._said(piece.text or "")

    def closing(self) -> list[ChoiceDelta]:
        if not self._citations:
            return []
        notes = tuple(_annotation(raw, self._begin, self._end) for raw in self._citations)
        return [ChoiceDelta(annotations=notes)]

    def _said(self, text: str) -> list[ChoiceDelta]:
        if not text:
            return []
        begins = self._is_second and self._end == self._begin
        self._end += len(text)
        return [ChoiceDelta(text=text, begins_block=begins)]


def _annotation(raw: Raw, start: int, end: int) -> Raw:
    """Return a citation in OpenAI's form where it has a URL, else as what only this protocol knows."""
    read = _citation.decode(raw)
    if not read.url:
        return Raw(_encode({"type": "native", "dialect": MESSAGES, "block": raw}))
    cited = {"start_index": start, "end_index": end, "url": read.url, "title": read.title or ""}
    return Raw(_encode({"type": "url_citation", "url_citation": cited, "anthropic": raw}))


class _Thinking:
    is_text, is_call, is_silent = False, False, True

    def __init__(self, start: BlockStart) -> None:
        self._given = start.thinking or ""
        self._signature = start.signature or ""
        self._size = 0

    def opening(self) -> list[ChoiceDelta]:
        return self._said(self._given)

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        piece = read_piece(delta)
        self._signature += piece.signature or ""
        return self._said(piece.thinking or "")

    def closing(self) -> list[ChoiceDelta]:
        detail = ReasoningDetail(
            signature=self._signature, id=f"{SPAN}{self._size}", format=CLAUDE_FORMAT
        )
        return [ChoiceDelta(details=(detail,))]

    def _said(self, text: str) -> list[ChoiceDelta]:
        self._size += len(text)
        return [ChoiceDelta(reasoning=text)] if text else []


class _Redacted:
    is_text = is_call = is_silent = False

    def __init__(self, start: BlockStart) -> None:
        self._data = start.data or ""

    def opening(self) -> list[ChoiceDelta]:
        return []

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        return []

    def closing(self) -> list[ChoiceDelta]:
        detail = ReasoningDetail(type="encrypted", data=self._data, format=CLAUDE_FORMAT)
        return [ChoiceDelta(details=(detail,))]


_BUILDERS: dict[str, Callable[[BlockStart, Place], OpenBlock]] = {
    "text": lambda start, place: _Text(start, place),
    "thinking": lambda start, _: _Thinking(start),
    "redacted_thinking": lambda start, _: _Redacted(start),
}

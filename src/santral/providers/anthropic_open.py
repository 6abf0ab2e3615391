"""One content block of an answer while it is open: what its pieces are for the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw, Struct

from santral.providers.conversation_messages import SPAN
from santral.wire.delta import ChoiceDelta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.messages import CLAUDE_FORMAT, MESSAGES, NONE


class OpenBlock(Protocol):
    """A block between its start and its stop."""

    @property
    def is_call(self) -> bool: ...

    @property
    def is_silent(self) -> bool:
        """Whether it may take long without a piece."""
        ...

    def opening(self) -> list[ChoiceDelta]: ...

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        """Return what a ``content_block_delta`` adds."""
        ...

    def closing(self) -> list[ChoiceDelta]: ...


class _Start(Struct, frozen=True):
    type: str = ""
    text: str | None = None
    citations: list[Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str = ""
    name: str = ""
    input: Raw = NONE
    caller: _Caller | None = None
    toolset_name: str | None = None


class _Caller(Struct, frozen=True):
    type: str = "direct"


class _Piece(Struct, frozen=True):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Raw = NONE


class _Citation(Struct, frozen=True):
    type: str = ""
    url: str | None = None
    title: str | None = None


_start = msgspec.json.Decoder(_Start)
_piece = msgspec.json.Decoder(_Piece)
_citation = msgspec.json.Decoder(_Citation)
_fields = msgspec.json.Decoder(dict[str, Raw])
_any_fields = msgspec.json.Decoder(dict[str, Any])
_object = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


class Place(NamedTuple):
    """What the answer so far and its request say about the block that comes next."""

    call_index: int
    text_start: int
    custom_tools: frozenset[str]
    answer_tool: str

    def open(self, raw: Raw) -> OpenBlock:
        """Return the open block for the ``content_block`` of its start event.

        A tool call that a tool of the provider's made, or one of its tool sets, is native: its
        caller has to come back with it, which nobody but a client of this protocol can do.
        """
        start = _start.decode(raw)
        build = _BUILDERS.get(start.type)
        if build is not None:
            return build(start, self)
        is_call = start.type == "tool_use"
        is_plain = start.caller is None or start.caller.type == "direct"
        if not (is_call and is_plain and start.toolset_name is None):
            return _Native(raw, is_call=is_call)
        if self.answer_tool and start.name == self.answer_tool:
            return _Answer(start)
        is_custom = start.name in self.custom_tools
        return (_CustomCall if is_custom else _Call)(start, self.call_index)


class _Text:
    is_call = is_silent = False

    def __init__(self, start: _Start, text_start: int) -> None:
        self._given = start.text or ""
        self._begin = self._end = text_start
        self._citations: list[Raw] = list(start.citations or ())

    def opening(self) -> list[ChoiceDelta]:
        return self._said(self._given)

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        piece = _piece.decode(delta)
        if bytes(piece.citation):
            self._citations.append(piece.citation)
        return self._said(piece.text or "")

    def closing(self) -> list[ChoiceDelta]:
        if not self._citations:
            return []
        notes = tuple(_annotation(raw, self._begin, self._end) for raw in self._citations)
        return [ChoiceDelta(annotations=notes)]

    def _said(self, text: str) -> list[ChoiceDelta]:
        self._end += len(text)
        return [ChoiceDelta(text=text)] if text else []


def _annotation(raw: Raw, start: int, end: int) -> Raw:
    """Return a citation in OpenAI's form where it has a URL, else as what only this protocol knows."""
    read = _citation.decode(raw)
    if not read.url:
        return Raw(_encode({"type": "native", "dialect": MESSAGES, "block": raw}))
    cited = {"start_index": start, "end_index": end, "url": read.url, "title": read.title or ""}
    return Raw(_encode({"type": "url_citation", "url_citation": cited, "anthropic": raw}))


class _Thinking:
    is_call, is_silent = False, True

    def __init__(self, start: _Start) -> None:
        self._given = start.thinking or ""
        self._signature = start.signature or ""
        self._size = 0

    def opening(self) -> list[ChoiceDelta]:
        return self._said(self._given)

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        piece = _piece.decode(delta)
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
    is_call = is_silent = False

    def __init__(self, start: _Start) -> None:
        self._data = start.data or ""

    def opening(self) -> list[ChoiceDelta]:
        return []

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        return []

    def closing(self) -> list[ChoiceDelta]:
        detail = ReasoningDetail(type="encrypted", data=self._data, format=CLAUDE_FORMAT)
        return [ChoiceDelta(details=(detail,))]


class _Call:
    """A call of a tool of the caller's; no arguments are an empty object."""

    is_call, is_silent = True, False

    def __init__(self, start: _Start, index: int) -> None:
        self._start = start
        self._index = index
        self._has_arguments = False

    def opening(self) -> list[ChoiceDelta]:
        call = ToolCallDelta(self._index, self._start.id, self._start.name)
        return [ChoiceDelta(tool_calls=(call,))]

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        said = _piece.decode(delta).partial_json
        if not said:
            return []
        self._has_arguments = True
        return self._said(said)

    def closing(self) -> list[ChoiceDelta]:
        return [] if self._has_arguments else self._said(_given_input(self._start))

    def _said(self, arguments: str) -> list[ChoiceDelta]:
        return [ChoiceDelta(tool_calls=(ToolCallDelta(self._index, arguments=arguments),))]


def _given_input(start: _Start) -> str:
    return bytes(start.input).decode() if bytes(start.input) not in (b"", b"null") else "{}"


class _CustomCall:
    """A call whose caller wants plain text: the one argument, once it is whole."""

    is_call, is_silent = True, False

    def __init__(self, start: _Start, index: int) -> None:
        self._start = start
        self._index = index
        self._json: list[str] = []

    def opening(self) -> list[ChoiceDelta]:
        call = ToolCallDelta(self._index, self._start.id, self._start.name, kind="custom")
        return [ChoiceDelta(tool_calls=(call,))]

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        self._json.append(_piece.decode(delta).partial_json or "")
        return []

    def closing(self) -> list[ChoiceDelta]:
        said = "".join(self._json) or _given_input(self._start)
        try:
            text = _object.decode(said.encode()).get("input", "")
        except msgspec.DecodeError:  # cut by max_tokens
            text = said
        if not text:
            return []
        call = ToolCallDelta(self._index, arguments=str(text), kind="custom")
        return [ChoiceDelta(tool_calls=(call,))]


class _Answer:
    """The tool that stands in for structured output: its arguments are the text of the answer."""

    is_call = is_silent = False

    def __init__(self, start: _Start) -> None:
        self._start = start
        self._has_text = False

    def opening(self) -> list[ChoiceDelta]:
        return []

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        said = _piece.decode(delta).partial_json or ""
        self._has_text = self._has_text or bool(said)
        return [ChoiceDelta(text=said)] if said else []

    def closing(self) -> list[ChoiceDelta]:
        return [] if self._has_text else [ChoiceDelta(text=_given_input(self._start))]


class _Native:
    """A block nobody else knows, given on whole at its end; without deltas byte for byte."""

    is_silent = False

    def __init__(self, raw: Raw, *, is_call: bool) -> None:
        self.is_call = is_call
        self._raw = bytes(raw)
        self._json: list[str] = []
        self._more: dict[str, Any] = {}

    def opening(self) -> list[ChoiceDelta]:
        return []

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        for name, value in _any_fields.decode(delta).items():
            if name == "partial_json":
                self._json.append(str(value or ""))
            elif name == "citation":
                self._more.setdefault("citations", []).append(value)
            elif name != "type":
                seen = self._more.get(name)
                joins = isinstance(seen, str) and isinstance(value, str)
                self._more[name] = f"{seen}{value}" if joins else value
        return []

    def closing(self) -> list[ChoiceDelta]:
        return [ChoiceDelta(native=(NativeBlock(MESSAGES, self._whole()),))]

    def _whole(self) -> bytes:
        said = "".join(self._json)
        if not (said or self._more):
            return self._raw
        fields: dict[str, Any] = {**_fields.decode(self._raw), **self._more}
        if said:
            _object.decode(said.encode())  # cut arguments are no block
            fields["input"] = Raw(said.encode())
        return _encode(fields)


_BUILDERS: dict[str, Callable[[_Start, Place], OpenBlock]] = {
    "text": lambda start, place: _Text(start, place.text_start),
    "thinking": lambda start, _: _Thinking(start),
    "redacted_thinking": lambda start, _: _Redacted(start),
}

"""Calls of tools in Anthropic's answers while they are open, and blocks that nobody else knows."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.providers.anthropic.pieces import BlockStart, read_piece
from santral.wire.delta import ChoiceDelta, NativeBlock, ToolCallDelta
from santral.wire.messages import MESSAGES

_fields = msgspec.json.Decoder(dict[str, Raw])
_object = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


class Call:
    """A call of a tool of the caller's; no arguments are an empty object."""

    is_text, is_call, is_silent = False, True, False

    def __init__(self, start: BlockStart, index: int) -> None:
        self._start = start
        self._index = index
        self._has_arguments = False

    def opening(self) -> list[ChoiceDelta]:
        call = ToolCallDelta(self._index, self._start.id, self._start.name)
        return [ChoiceDelta(tool_calls=(call,))]

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        said = read_piece(delta).partial_json
        if not said:
            return []
        self._has_arguments = True
        return self._said(said)

    def closing(self) -> list[ChoiceDelta]:
        return [] if self._has_arguments else self._said(_given_input(self._start))

    def _said(self, arguments: str) -> list[ChoiceDelta]:
        return [ChoiceDelta(tool_calls=(ToolCallDelta(self._index, arguments=arguments),))]


def _given_input(start: BlockStart) -> str:
    return bytes(start.input).decode() if bytes(start.input) not in (b"", b"null") else "{}"


class CustomCall:
    """A call whose caller wants plain text: the one argument, once it is whole."""

    is_text, is_call, is_silent = False, True, False

    def __init__(self, start: BlockStart, index: int) -> None:
        self._start = start
        self._index = index
        self._json: list[str] = []

    def opening(self) -> list[ChoiceDelta]:
        call = ToolCallDelta(self._index, self._start.id, self._start.name, kind="custom")
        return [ChoiceDelta(tool_calls=(call,))]

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        self._json.append(read_piece(delta).partial_json or "")
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


class AnswerCall:
    """The tool that stands in for structured output: its arguments are the text of the answer."""

    is_text = is_call = is_silent = False

    def __init__(self, start: BlockStart) -> None:
        self._start = start
        self._has_text = False

    def opening(self) -> list[ChoiceDelta]:
        return []

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        said = read_piece(delta).partial_json or ""
        self._has_text = self._has_text or bool(said)
        return [ChoiceDelta(text=said)] if said else []

    def closing(self) -> list[ChoiceDelta]:
        return [] if self._has_text else [ChoiceDelta(text=_given_input(self._start))]


class WholeBlock:
    """A block nobody else knows, given on whole at its end; without deltas byte for byte."""

    is_text = is_silent = False

    def __init__(self, raw: Raw, *, is_call: bool) -> None:
        self.is_call = is_call
        self._raw = bytes(raw)
        self._json: list[str] = []
        self._more: dict[str, Any] = {}

    def opening(self) -> list[ChoiceDelta]:
        return []

    def add(self, delta: Raw) -> list[ChoiceDelta]:
        for name, value in _object.decode(delta).items():
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

"""The messages of a chat request as turns of blocks, every part typed or refused.

An assistant's blocks stand in the order reasoning, content, tool calls, unless the message's
``block_order`` names another one: a dialect in whose blocks were interleaved writes it.
Sources: https://platform.openai.com/docs/api-reference/chat/create and, for ``reasoning_details``,
https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.providers.conversation.blocks import (
    Block,
    Native,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from santral.providers.conversation.parts import Part, read_part
from santral.providers.conversation.settings import NONE, or_none, wrong_shape
from santral.wire.chat import FunctionCall, Role
from santral.wire.delta import ReasoningDetail

#: How many characters of ``reasoning_content`` a detail closes, where the answer could not carry the
#: text beside it: the ``id`` of Anthropic's details, which has no ids of its own.
SPAN = "chars-"


def span_of(detail_id: str | None) -> int:
    """Return how many characters a detail with this id closes; 0 where its id is its vendor's own."""
    given = detail_id or ""
    count = given.removeprefix(SPAN)
    return int(count) if given != count and count.isdecimal() else 0


_Kind: TypeAlias = Literal["reasoning", "content", "tool_call"]


class _Google(Struct, frozen=True):
    thought_signature: str | None = None


class _Extra(Struct, frozen=True):
    google: _Google | None = None


class _Custom(Struct, frozen=True):
    name: str | None = None
    input: str | None = None


class _Call(Struct, frozen=True):
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    custom: _Custom | None = None
    extra_content: _Extra | None = None
    cache_control: Raw = NONE


class _Detail(Struct, frozen=True):
    type: str = "reasoning.text"
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    format: str | None = None


class _Message(Struct, frozen=True):
    role: Role
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    function_call: FunctionCall | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: list[_Detail] | None = None
    native_blocks: list[Part] | None = None
    is_error: bool | None = None
    cache_control: Raw = NONE
    block_order: list[_Kind] | None = None
    audio: Any = None  # of an answer, by its id at OpenAI
    annotations: Any = None  # of an answer: they say nothing that its text does not


_decoder = msgspec.json.Decoder(_Message)
_parts = msgspec.json.Decoder(list[Raw])


class MessageReader:
    """Reads the messages of one request; ``unsaid`` are the fields that blocks have no place for."""

    def __init__(self) -> None:
        self.unsaid: list[str] = []
        self._names: dict[str, str] = {}  # of tools, by the id of their calls
        self._last_call = ""

    def read(self, messages: Any) -> list[Turn]:
        """Return a turn for every message; errors as ``read_conversation``."""
        if isinstance(messages, Raw):
            messages = _parts.decode(messages)
        return [self._turn(at, message) for at, message in enumerate(messages)]

    def _turn(self, at: int, message: Raw | dict[str, Any]) -> Turn:
        path = f"messages.{at}"
        data = message if isinstance(message, Raw) else msgspec.json.encode(message)
        try:
            read = _decoder.decode(data)
        except msgspec.ValidationError as error:
            raise wrong_shape(error, path) from None
        self.unsaid += [f"{path}.{name}" for name in ("name", "audio") if _says(read, name)]
        if read.role in ("tool", "function"):
            return Turn(role="user", blocks=(self._result(path, read),), path=path)
        if read.role == "assistant":
            return Turn(role="assistant", blocks=self._said(path, read), path=path)
        role = "user" if read.role == "user" else "system"
        return Turn(role=role, blocks=tuple(_content(path, read)), path=path)

    def _result(self, path: str, read: _Message) -> ToolResult:
        call_id = read.tool_call_id or (self._last_call if read.role == "function" else "")
        if not call_id:
            raise BadRequest(
                f"'{path}.tool_call_id' is missing: it says which call the tool answers.",
                code="invalid_request",
                param=f"{path}.tool_call_id",
            )
        unmarked = msgspec.structs.replace(read, cache_control=NONE)
        return ToolResult(
            call_id=call_id,
            blocks=tuple(_content(path, unmarked)),
            is_error=bool(read.is_error),
            name=self._names.get(call_id, read.name or ""),
            path=path,
            cache_control=or_none(read.cache_control),
        )

    def _said(self, path: str, read: _Message) -> tuple[Block, ...]:
        """Return the blocks of an assistant's message in their order."""
        kinds: dict[_Kind, list[Block]] = {
            "reasoning": [*_reasoning(path, read)],
            "content": [*_content(path, read), *_native_blocks(path, read)],
            "tool_call": [*self._calls(path, read)],
        }
        order = read.block_order
        if order is None or any(order.count(kind) != len(kinds[kind]) for kind in kinds):
            return tuple(block for blocks in kinds.values() for block in blocks)
        queues = {kind: iter(blocks) for kind, blocks in kinds.items()}
        return tuple(next(queues[kind]) for kind in order)

    def _calls(self, path: str, read: _Message) -> Iterable[ToolUse]:
        for at, call in enumerate(read.tool_calls or ()):
            yield self._call(f"{path}.tool_calls.{at}", call)
        if read.function_call is not None:
            name = read.function_call.name or ""
            legacy = _Call(id=f"call_{path.partition('.')[2]}", function=read.function_call)
            yield self._call(f"{path}.function_call", legacy)
            self._last_call = legacy.id or ""
            self._names[self._last_call] = name

    def _call(self, path: str, call: _Call) -> ToolUse:
        google = call.extra_content.google if call.extra_content else None
        if call.custom is not None:
            name, said = call.custom.name, call.custom.input
        else:
            function = call.function or FunctionCall()
            name, said = function.name, function.arguments
        if not call.id or not name:
            lacks = "function.name" if call.id else "id"
            raise BadRequest(
                f"'{path}.{lacks}' is missing.", code="invalid_request", param=f"{path}.{lacks}"
            )
        self._names[call.id] = name
        return ToolUse(
            id=call.id,
            name=name,
            arguments=said or "",
            signature=(google.thought_signature if google else "") or "",
            kind="function" if call.custom is None else "custom",
            path=path,
            cache_control=or_none(call.cache_control),
        )


def _says(read: _Message, name: str) -> bool:
    value = getattr(read, name)
    return value is not None and not (name == "name" and read.role in ("tool", "function"))


def _content(path: str, read: _Message) -> list[Block]:
    """Return content and refusal; a marker on the message belongs to its last block."""
    blocks: list[Block] = []
    if isinstance(read.content, str):
        if read.content or read.role != "assistant":
            blocks.append(Text(text=read.content, path=f"{path}.content"))
    else:
        blocks += [
            read_part(f"{path}.content.{at}", part) for at, part in enumerate(read.content or ())
        ]
    if read.refusal:
        blocks.append(Text(text=read.refusal, path=f"{path}.refusal"))
    marker = or_none(read.cache_control)
    if marker is not None and blocks and not isinstance(blocks[-1], Native | Thinking):
        blocks[-1] = msgspec.structs.replace(blocks[-1], cache_control=marker)
    return blocks


def _native_blocks(path: str, read: _Message) -> list[Block]:
    return [
        read_part(f"{path}.native_blocks.{at}", part)
        for at, part in enumerate(read.native_blocks or ())
    ]


def _reasoning(path: str, read: _Message) -> list[Thinking]:
    said = next((v for v in (read.reasoning_content, read.reasoning) if isinstance(v, str)), "")
    details = read.reasoning_details or ()
    if not details:
        return [Thinking(text=said, path=f"{path}.reasoning_content")] if said else []
    texts = _texts_of(details, said)
    return [
        Thinking(text=text, detail=_detail(detail), path=f"{path}.reasoning_details.{at}")
        for at, (detail, text) in enumerate(zip(details, texts, strict=True))
    ]


def _texts_of(details: Sequence[_Detail], said: str) -> list[str]:
    """Return the text that belongs to each detail: its own, or its share of the message's."""
    own = [detail.text or detail.summary or "" for detail in details]
    if any(own) or not said:
        return own
    open_ = [at for at, detail in enumerate(details) if detail.type != "reasoning.encrypted"]
    spans = [span_of(details[at].id) for at in open_]
    if len(open_) == 1:
        own[open_[0]] = said
    elif sum(spans) == len(said):
        start = 0
        for at, span in zip(open_, spans, strict=True):
            own[at] = said[start : start + span]
            start += span
    return own


def _detail(detail: _Detail) -> ReasoningDetail:
    kind = detail.type.removeprefix("reasoning.")
    return ReasoningDetail(
        type=kind if kind in ("encrypted", "summary") else "text",
        signature=detail.signature or "",
        data=detail.data or "",
        id=detail.id or "",
        format=detail.format or "",
    )

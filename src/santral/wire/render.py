"""Deltas as OpenAI JSON: chunks, whole completions, usage, and edits that keep unknown fields."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from santral.wire.delta import (
    ChoiceDelta,
    Delta,
    NativeBlock,
    ReasoningDetail,
    ToolCallDelta,
)
from santral.wire.usage import Usage

_fields = msgspec.json.Decoder(dict[str, Raw])
_entries = msgspec.json.Decoder(list[dict[str, Raw]])
_list: msgspec.json.Decoder[list[Raw] | None] = msgspec.json.Decoder(list[Raw] | None)
_NULL = Raw(b"null")
_encode = msgspec.json.Encoder().encode


def wire_usage(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's ``usage``: there the input includes cached, the output reasoning tokens."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def chunk(delta: Delta, *, role: bool | Container[int] = False) -> bytes:
    """Return the ``chat.completion.chunk`` of a composed delta.

    ``role`` announces the assistant: in every choice, or in those of the given indexes.
    """
    opened = {
        choice.index
        for choice in delta.choices
        if (role if isinstance(role, bool) else choice.index in role)
    }
    choices = [
        {
            "index": choice.index,
            "delta": ({"role": "assistant"} if choice.index in opened else {})
            | _chunk_content(choice, role=choice.index in opened),
            "logprobs": _logprobs(choice),
            "finish_reason": choice.finish_reason,
        }
        | _ending(choice)
        for choice in delta.choices
    ]
    return _encode(_head(delta, "chat.completion.chunk") | {"choices": choices})


def usage_chunk(delta: Delta, usage: Usage) -> bytes:
    """Return the last chunk of a stream whose client asked for usage."""
    head = _head(delta, "chat.completion.chunk")
    return _encode(head | {"choices": [], "usage": wire_usage(usage)})


def completion(delta: Delta) -> bytes:
    """Return the ``chat.completion`` of a composed whole delta."""
    choices = [
        {
            "index": choice.index,
            "message": _message(choice),
            "logprobs": _logprobs(choice),
            "finish_reason": choice.finish_reason or "stop",
        }
        | _ending(choice)
        for choice in delta.choices
    ]
    body = _head(delta, "chat.completion") | {"choices": choices}
    if delta.usage is not None:
        body["usage"] = wire_usage(delta.usage)
    return _encode(body)


def _head(delta: Delta, kind: str) -> dict[str, Any]:
    head = {"id": delta.id, "object": kind, "created": delta.created, "model": delta.model}
    return head | {"service_tier": delta.service_tier} if delta.service_tier else head


def _logprobs(choice: ChoiceDelta) -> Raw | None:
    return Raw(choice.logprobs) if choice.logprobs else None


def _ending(choice: ChoiceDelta) -> dict[str, str]:
    """What OpenRouter adds, and other vendors' answers need, beside ``finish_reason``."""
    ending: dict[str, str] = {}
    if choice.native_finish:
        ending["native_finish_reason"] = choice.native_finish
    if choice.stop_sequence:
        ending["stop_sequence"] = choice.stop_sequence
    return ending


def _chunk_content(choice: ChoiceDelta, *, role: bool) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if choice.text or role:
        content["content"] = choice.text
    if choice.refusal:
        content["refusal"] = choice.refusal
    if choice.reasoning:
        content["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        content["tool_calls"] = [_tool_call(call, index=True) for call in choice.tool_calls]
    return content | _opaque(choice)


def _opaque(choice: ChoiceDelta) -> dict[str, Any]:
    """What clients carry back unread: reasoning details, annotations, blocks of other dialects."""
    if not (choice.details or choice.annotations or choice.native):
        return {}
    content: dict[str, Any] = {}
    if choice.details:
        content["reasoning_details"] = [_detail(detail) for detail in choice.details]
    if choice.annotations:
        content["annotations"] = list(choice.annotations)
    if choice.native:
        content["native_blocks"] = [
            {"type": "native", "dialect": block.dialect, "block": Raw(block.json)}
            for block in choice.native
        ]
    return content


def _detail(detail: ReasoningDetail) -> dict[str, Any]:
    """Source of the shape: https://openrouter.ai/docs/use-cases/reasoning-tokens"""
    named = {
        name: value
        for name in ("signature", "data", "id", "format")
        if (value := getattr(detail, name))
    }
    return {"type": f"reasoning.{detail.type}", **named}


def _tool_call(call: ToolCallDelta, *, index: bool) -> dict[str, Any]:
    said = "input" if call.kind == "custom" else "arguments"
    function: dict[str, Any] = {said: call.arguments}
    entry: dict[str, Any] = {"index": call.index} if index else {}
    if call.id:
        entry |= {"id": call.id, "type": call.kind}
    if call.name:
        function = {"name": call.name, **function}
    if call.signature:  # Source: https://ai.google.dev/gemini-api/docs/thought-signatures
        entry["extra_content"] = {"google": {"thought_signature": call.signature}}
    return entry | {call.kind: function}


def _message(choice: ChoiceDelta) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text if choice.text or not choice.tool_calls else None,
        "refusal": choice.refusal or None,
    }
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = [_tool_call(call, index=False) for call in choice.tool_calls]
    return message | _opaque(choice)


def fold(deltas: Sequence[Delta]) -> Delta:
    """Return the whole answer that the deltas of a stream add up to.

    A single whole delta is returned as it is, with its raw bytes.
    """
    if len(deltas) == 1 and deltas[0].is_whole:
        return deltas[0]
    folds: dict[int, _Fold] = {}
    usage, first = None, deltas[0] if deltas else Delta()
    for delta in deltas:
        usage = delta.usage or usage
        for choice in delta.choices:
            folds.setdefault(choice.index, _Fold()).add(choice)
    return Delta(
        choices=tuple(folds[index].choice(index) for index in sorted(folds)),
        usage=usage,
        is_whole=True,
        id=next((d.id for d in deltas if d.id), first.id),
        model=next((d.model for d in deltas if d.model), first.model),
        created=next((d.created for d in deltas if d.created), first.created),
        service_tier=next((d.service_tier for d in deltas if d.service_tier), ""),
    )


def unfold(whole: Delta) -> list[Delta]:
    """Return the deltas of a stream that says what a whole answer says: content, ends, usage.

    They are composed: fields of ``raw`` that we do not know are left behind.
    """
    head = msgspec.structs.replace(whole, choices=(), usage=None, raw=b"", is_whole=False)
    content = tuple(
        msgspec.structs.replace(choice, finish_reason=None, native_finish="", stop_sequence="")
        for choice in whole.choices
    )
    ends = tuple(
        ChoiceDelta(
            index=choice.index,
            finish_reason=choice.finish_reason or "stop",
            native_finish=choice.native_finish,
            stop_sequence=choice.stop_sequence,
        )
        for choice in whole.choices
    )
    deltas = [with_choices(head, content), with_choices(head, ends)]
    if whole.usage is not None:
        deltas.append(msgspec.structs.replace(head, usage=whole.usage))
    return deltas


class _Fold:
    """One choice while its deltas come in."""

    __slots__ = (
        "annotations",
        "calls",
        "details",
        "finish_reason",
        "logprobs",
        "native",
        "native_finish",
        "reasoning",
        "refusal",
        "stop_sequence",
        "text",
    )

    def __init__(self) -> None:
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, ToolCallDelta] = {}
        self.finish_reason: str | None = None
        self.details: list[ReasoningDetail] = []
        self.native: list[NativeBlock] = []
        self.annotations: list[Raw] = []
        self.logprobs: list[bytes] = []
        self.native_finish = ""
        self.stop_sequence = ""

    def add(self, choice: ChoiceDelta) -> None:
        self.text.append(choice.text)
        self.refusal.append(choice.refusal)
        self.reasoning.append(choice.reasoning)
        for call in choice.tool_calls:
            seen = self.calls.get(call.index)
            self.calls[call.index] = call if seen is None else joined_call(seen, call)
        self.finish_reason = choice.finish_reason or self.finish_reason
        self.details += choice.details
        self.native += choice.native
        self.annotations += choice.annotations
        if choice.logprobs:
            self.logprobs.append(choice.logprobs)
        self.native_finish = choice.native_finish or self.native_finish
        self.stop_sequence = choice.stop_sequence or self.stop_sequence

    def choice(self, index: int) -> ChoiceDelta:
        return ChoiceDelta(
            index=index,
            text="".join(self.text),
            refusal="".join(self.refusal),
            reasoning="".join(self.reasoning),
            tool_calls=tuple(self.calls[position] for position in sorted(self.calls)),
            finish_reason=self.finish_reason,
            details=tuple(self.details),
            native=tuple(self.native),
            annotations=tuple(self.annotations),
            logprobs=_joined_logprobs(self.logprobs),
            native_finish=self.native_finish,
            stop_sequence=self.stop_sequence,
        )


_logprob_lists = msgspec.json.Decoder(dict[str, list[Raw] | None])


def _joined_logprobs(parts: Sequence[bytes]) -> bytes:
    """Return the log-probabilities of all deltas as those of one answer."""
    if len(parts) < 2:
        return parts[0] if parts else b""
    joined: dict[str, list[Raw]] = {}
    for part in parts:
        for name, entries in _logprob_lists.decode(part).items():
            joined.setdefault(name, []).extend(entries or ())
    return _encode(joined)


def joined_call(seen: ToolCallDelta, more: ToolCallDelta) -> ToolCallDelta:
    """Return a call as far as it came, with the next piece of it."""
    return ToolCallDelta(
        index=seen.index,
        id=seen.id or more.id,
        name=seen.name or more.name,
        arguments=seen.arguments + more.arguments,
        signature=seen.signature or more.signature,
        kind=seen.kind,
    )


def with_choices(delta: Delta, choices: tuple[ChoiceDelta, ...]) -> Delta:
    """Return ``delta`` with other texts and tool arguments.

    In ``raw`` only those change: every other field stays byte for byte, also numbers that a
    decoder would round or refuse.
    """
    changed = msgspec.structs.replace(delta, choices=choices)
    if not delta.raw:
        return changed
    if len(choices) == 1 and _differ_in_text(delta.choices, choices[0]):
        spliced = _spliced(delta.raw, delta.choices[0].text, choices[0].text)
        if spliced:
            return msgspec.structs.replace(changed, raw=spliced)
    body: dict[str, Any] = dict(_fields.decode(delta.raw))
    slot = "message" if delta.is_whole else "delta"
    before = {choice.index: choice for choice in delta.choices}
    edits = {choice.index: choice for choice in choices}
    entries: list[dict[str, Any]] = []
    for raw in _entries.decode(body.get("choices", b"[]")):
        entry: dict[str, Any] = dict(raw)
        choice = edits.get(_index(entry))
        if choice is not None:
            entry[slot] = _edited(entry.get(slot, Raw(b"{}")), choice)
            if "logprobs" in entry and choice != before.get(choice.index):
                entry["logprobs"] = None  # they spell the text that was there
        entries.append(entry)
    return msgspec.structs.replace(changed, raw=_encode(body | {"choices": entries}))


_LOGPROBS = re.compile(rb'"logprobs"\s*:\s*[^\sn]')


def with_text(delta: Delta, text: str) -> Delta:
    """Return the common delta of a stream, more text of one choice and nothing else, with another text.

    The same as ``with_choices``, which a masked stream would ask for nearly every delta.
    """
    old = delta.choices[0]
    choices = (ChoiceDelta(old.index, text),)
    raw = _spliced(delta.raw, old.text, text)
    if delta.raw and not raw:
        return with_choices(delta, choices)
    return Delta(
        choices=choices,
        usage=delta.usage,
        raw=raw,
        id=delta.id,
        model=delta.model,
        created=delta.created,
    )


def _differ_in_text(old: tuple[ChoiceDelta, ...], new: ChoiceDelta) -> bool:
    return len(old) == 1 and msgspec.structs.replace(old[0], text=new.text) == new


def _spliced(raw: bytes, old: str, new: str) -> bytes:
    """Return the common chunk with its one text exchanged, or nothing where that is not certain.

    A masked stream changes nearly every chunk, as words are held back until they are whole.
    Measured: 1.3 us, against 6 us for taking the chunk apart.
    """
    if not old or raw.count(b'"content"') != 1 or _LOGPROBS.search(raw) is not None:
        return b""
    key, found, rest = raw.partition(b'"content":')
    said = _encode(old)
    space = b" " if rest[:1] == b" " else b""
    if not found or not rest.startswith(said, len(space)):
        return b""  # the provider spells its text in another way than we do
    return b"".join((key, found, space, _encode(new), rest[len(space) + len(said) :]))


def _index(entry: Mapping[str, Any], default: int = 0) -> int:
    raw = entry.get("index")
    return default if raw is None else msgspec.json.decode(raw, type=int | None) or 0


def _edited(raw: Raw, choice: ChoiceDelta) -> dict[str, Any]:
    content: dict[str, Any] = dict(_fields.decode(raw))
    for name, text in (("content", choice.text), ("refusal", choice.refusal)):
        if text or _is_text(content.get(name)):
            content[name] = text
    for name in ("reasoning_content", "reasoning"):
        if _is_text(content.get(name)):
            content[name] = choice.reasoning
    if choice.annotations:
        had: list[Raw] = _list.decode(content.get("annotations", Raw(b"[]"))) or []
        content["annotations"] = [*had, *(note for note in choice.annotations if note not in had)]
    if choice.tool_calls and "tool_calls" in content:
        content["tool_calls"] = _edited_calls(content["tool_calls"], choice.tool_calls)
    elif content.get("tool_calls") != _NULL:
        content.pop("tool_calls", None)  # what they said has left in another delta
    return content


def _edited_calls(raw: Raw, calls: Sequence[ToolCallDelta]) -> list[dict[str, Any]]:
    known: Mapping[int, ToolCallDelta] = {call.index: call for call in calls}
    entries: list[dict[str, Any]] = []
    for position, fields in enumerate(_entries.decode(raw)):
        entry: dict[str, Any] = dict(fields)
        call = known.get(_index(entry, position))
        if call is not None and "function" in entry:
            entry["function"] = _fields.decode(entry["function"]) | {"arguments": call.arguments}
        entries.append(entry)
    return entries


def _is_text(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw).lstrip()[:1] == b'"'


def without_usage(raw: bytes) -> bytes:
    """Return a chunk's JSON without its ``usage`` field, other fields byte for byte."""
    if raw.endswith(b',"usage":null}'):
        return raw[:-14] + b"}"
    fields = _fields.decode(raw)
    if fields.pop("usage", None) is None:
        return raw
    return _encode(fields)

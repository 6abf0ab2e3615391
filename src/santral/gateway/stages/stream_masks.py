"""Masks every text of a stream while it flows: content, refusal, reasoning, tool arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from santral.gateway.leaves import strings_in, with_string
from santral.gateway.stages.known import only_known
from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.policy import CheckList
from santral.guardrails.stream import StreamMask
from santral.guardrails.verdict import Verdict
from santral.wire.delta import (
    ChoiceDelta,
    Delta,
    NativeBlock,
    ReasoningDetail,
    ToolCallDelta,
)
from santral.wire.render import with_choices, with_text

#: A text of a stream: choice, what it is, and for a tool call its index.
Slot = tuple[int, str, int]


class StreamMasks:
    """One mask per text of the stream; what they hold back leaves before the text's end."""

    def __init__(
        self, checks: CheckList, placeholders: Placeholders, *, has_blocks: bool = False
    ) -> None:
        """``has_blocks`` says that the caller's dialect has blocks in an order: a text's end leaves
        before the next block begins."""
        self._checks = checks
        self._placeholders = placeholders
        self._has_blocks = has_blocks
        self._once: list[StreamMask] = []  # of texts that came whole
        self._masks: dict[Slot, StreamMask] = {}
        self._announced: set[int] = set()
        self._last = Delta()

    def push(self, delta: Delta) -> list[Delta]:
        """Return what may leave now, in order.

        Raises:
            OutputRefused: a check that refuses found something; it has not left.
        """
        if not delta.choices:
            return [delta]
        delta = only_known(delta)
        self._last = delta
        if len(delta.choices) == 1 and self._is_more_text(delta.choices[0]):
            return self._push_text(delta)
        ready: list[Delta] = []
        choices: list[ChoiceDelta] = []
        for choice in delta.choices:
            ready += self._ended_before(choice)
            masked = self._masked(choice)
            if choice.finish_reason is not None:
                flushed = self._flushed(choice.index, masked)
                if flushed and choice.index not in self._announced:
                    # What was flushed opens the choice: the bytes that do so too must not follow.
                    delta = msgspec.structs.replace(delta, raw=b"")
                ready += flushed
                masked = ChoiceDelta(
                    choice.index,
                    finish_reason=choice.finish_reason,
                    native_finish=choice.native_finish,
                    stop_sequence=choice.stop_sequence,
                )
            choices.append(masked)
        if tuple(choices) == delta.choices:
            ready.append(delta)
        elif self._is_worth_sending(delta, choices):
            ready.append(with_choices(delta, tuple(choices)))
        self._announced.update(choice.index for choice in delta.choices)
        return ready

    def finish(self) -> list[Delta]:
        """Return what is still held when a stream ended without saying so."""
        indexes = dict.fromkeys(slot[0] for slot in self._masks)
        return [delta for index in indexes for delta in self._flushed(index, ChoiceDelta(index))]

    def verdicts(self) -> list[Verdict]:
        """Return the verdicts over all texts: one per check, findings added up."""
        merged: dict[str, Verdict] = {}
        for mask in [*self._masks.values(), *self._once]:
            for verdict in mask.verdicts():
                seen = merged.get(verdict.check)
                merged[verdict.check] = verdict if seen is None else _added(seen, verdict)
        return list(merged.values())

    def _is_more_text(self, choice: ChoiceDelta) -> bool:
        """Nearly every delta of a stream: the text of a choice goes on."""
        return choice.index in self._announced and choice == ChoiceDelta(choice.index, choice.text)

    def _push_text(self, delta: Delta) -> list[Delta]:
        choice = delta.choices[0]
        text = self._push((choice.index, "text", 0), choice.text)
        if text == choice.text:
            return [delta]
        return [with_text(delta, text)] if text else []

    def _is_worth_sending(self, delta: Delta, choices: Iterable[ChoiceDelta]) -> bool:
        """A delta whose whole text is held back says nothing, unless it announces or ends a choice."""
        return any(
            choice.index not in self._announced or choice != ChoiceDelta(choice.index)
            for choice in choices
        )

    def _masked(self, choice: ChoiceDelta) -> ChoiceDelta:
        index = choice.index
        text = self._push((index, "text", 0), choice.text)
        return ChoiceDelta(
            index,
            text,
            self._push((index, "refusal", 0), choice.refusal),
            self._push((index, "reasoning", 0), choice.reasoning),
            tuple(
                msgspec.structs.replace(
                    call, arguments=self._push((index, "tool", call.index), call.arguments)
                )
                for call in choice.tool_calls
            ),
            choice.finish_reason,
            self._vouched(choice),
            tuple(self._native(block) for block in choice.native),
            tuple(Raw(self._leaves(annotation)) for annotation in choice.annotations),
            choice.logprobs if text == choice.text else b"",  # they spell the text that was there
            choice.native_finish,
            choice.stop_sequence,
        )

    def _vouched(self, choice: ChoiceDelta) -> tuple[ReasoningDetail, ...]:
        """Return the details, without the signatures of a reasoning that is another now."""
        mask = self._masks.get((choice.index, "reasoning", 0))
        if not choice.details or mask is None or not any(v.count for v in mask.verdicts()):
            return choice.details
        return tuple(detail for detail in choice.details if detail.type == "encrypted")

    def _native(self, block: NativeBlock) -> NativeBlock:
        return NativeBlock(block.dialect, self._leaves(Raw(block.json)))

    def _leaves(self, value: Raw) -> bytes:
        """Return JSON that came whole with each of its texts masked."""
        masked: Any = value
        for path, text in strings_in(value):
            mask = StreamMask(self._checks, self._placeholders)
            changed = mask.push(text) + mask.flush()
            if changed != text:
                masked = with_string(masked, path, changed)
                self._once.append(mask)
        return bytes(masked) if masked is value else msgspec.json.encode(masked)

    def _ended_before(self, choice: ChoiceDelta) -> list[Delta]:
        """Return what is held of the blocks that ``choice`` ends by beginning another one."""
        ended: list[Slot] = []
        if choice.text or choice.tool_calls or choice.native or choice.details:
            ended.append((choice.index, "reasoning", 0))
        if self._has_blocks and (choice.tool_calls or choice.native):
            ended.append((choice.index, "text", 0))
        parts: list[Delta] = []
        for slot in ended:
            mask = self._masks.get(slot)
            rest = mask.flush() if mask is not None and mask.held_characters else ""
            if rest:
                part = (
                    ChoiceDelta(slot[0], text=rest)
                    if slot[1] == "text"
                    else ChoiceDelta(slot[0], reasoning=rest)
                )
                parts.append(msgspec.structs.replace(_head(self._last), choices=(part,)))
        return parts

    def _push(self, slot: Slot, text: str) -> str:
        if not text:
            return ""
        mask = self._masks.get(slot)
        if mask is None:
            mask = self._masks[slot] = StreamMask(self._checks, self._placeholders)
        return mask.push(text)

    def _flushed(self, index: int, last: ChoiceDelta) -> list[Delta]:
        """Return one delta with the rest of every text of a choice, or none when nothing is left."""
        rest = {slot: mask.flush() for slot, mask in self._masks.items() if slot[0] == index}
        calls = {call.index: call for call in last.tool_calls}
        for slot, text in rest.items():
            if slot[1] == "tool" and text:
                seen = calls.get(slot[2], ToolCallDelta(slot[2]))
                calls[slot[2]] = msgspec.structs.replace(seen, arguments=seen.arguments + text)
        choice = msgspec.structs.replace(
            last,
            text=last.text + rest.get((index, "text", 0), ""),
            refusal=last.refusal + rest.get((index, "refusal", 0), ""),
            reasoning=last.reasoning + rest.get((index, "reasoning", 0), ""),
            tool_calls=tuple(calls[number] for number in sorted(calls)),
            finish_reason=None,
            native_finish="",
            stop_sequence="",
        )
        if not choice.has_content:
            return []
        return [msgspec.structs.replace(_head(self._last), choices=(choice,))]


def _head(delta: Delta) -> Delta:
    return Delta(id=delta.id, model=delta.model, created=delta.created)


def _added(one: Verdict, other: Verdict) -> Verdict:
    found = other if other.count and not one.count else one
    return Verdict(
        found.check,
        found.verdict,
        found.action,
        found.reason,
        one.count + other.count,
        one.duration_us + other.duration_us,
    )

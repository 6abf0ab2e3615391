"""Masks every text of a stream while it flows: content, refusal, reasoning, tool arguments."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.policy import CheckList
from santral.guardrails.stream import StreamMask
from santral.guardrails.verdict import Verdict
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.render import with_choices, with_text

#: A text of a stream: choice, what it is, and for a tool call its index.
Slot = tuple[int, str, int]


class StreamMasks:
    """One mask per text of the stream; what they hold back leaves before the text's end."""

    def __init__(self, checks: CheckList, placeholders: Placeholders) -> None:
        self._checks = checks
        self._placeholders = placeholders
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
        self._last = delta
        if len(delta.choices) == 1 and self._is_more_text(delta.choices[0]):
            return self._push_text(delta)
        ready: list[Delta] = []
        choices: list[ChoiceDelta] = []
        for choice in delta.choices:
            masked = self._masked(choice)
            if choice.finish_reason is not None:
                flushed = self._flushed(choice.index, masked)
                if flushed and choice.index not in self._announced:
                    # What was flushed opens the choice: the bytes that do so too must not follow.
                    delta = msgspec.structs.replace(delta, raw=b"")
                ready += flushed
                masked = ChoiceDelta(choice.index, finish_reason=choice.finish_reason)
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
        for mask in self._masks.values():
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
            choice.has_content or choice.finish_reason or choice.index not in self._announced
            for choice in choices
        )

    def _masked(self, choice: ChoiceDelta) -> ChoiceDelta:
        index = choice.index
        return ChoiceDelta(
            index,
            self._push((index, "text", 0), choice.text),
            self._push((index, "refusal", 0), choice.refusal),
            self._push((index, "reasoning", 0), choice.reasoning),
            tuple(
                ToolCallDelta(
                    call.index,
                    call.id,
                    call.name,
                    self._push((index, "tool", call.index), call.arguments),
                )
                for call in choice.tool_calls
            ),
            choice.finish_reason,
        )

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
                calls[slot[2]] = ToolCallDelta(
                    seen.index, seen.id, seen.name, seen.arguments + text
                )
        choice = ChoiceDelta(
            index,
            last.text + rest.get((index, "text", 0), ""),
            last.refusal + rest.get((index, "refusal", 0), ""),
            last.reasoning + rest.get((index, "reasoning", 0), ""),
            tuple(calls[number] for number in sorted(calls)),
        )
        if not choice.has_content:
            return []
        head = self._last
        return [Delta(choices=(choice,), id=head.id, model=head.model, created=head.created)]


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

"""The gate between provider and caller: passes, masks as it streams, or holds the whole answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from santral.errors import OutputRefused
from santral.gateway.context import Emit, RequestContext
from santral.gateway.leaves import strings_in, with_string
from santral.gateway.stages.known import only_known
from santral.gateway.stages.stream_masks import StreamMasks
from santral.gateway.stages.verdicts import note
from santral.guardrails.check import OutputContext
from santral.guardrails.policy import Policy, inspect, inspect_output
from santral.guardrails.verdict import Action, Verdict
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock
from santral.wire.render import fold, with_choices

#: Longest answer kept for the checks after a stream and for the trace, in characters. Chosen.
MAX_KEPT = 1_000_000

#: Stands for a text that holds a value which a policy refuses to let out.
_WITHHELD = "[withheld]"


class Correction(Struct, frozen=True):
    """What to tell the model so that it answers better."""

    answer: str
    instruction: str


class Tap(Protocol):
    """Sees an answer on its way out: a cache that keeps it, callers who share it."""

    async def send(self, delta: Delta, emit: Emit) -> None:
        """Take a delta that may leave, and emit it."""
        ...

    def restart(self) -> None:
        """Forget what nobody has seen: another attempt begins."""
        ...


class Holds(Protocol):
    """Keeps an answer back until a reviewer has seen it."""

    async def hold(
        self, ctx: RequestContext, answer: Delta, verdict: Verdict | None
    ) -> Delta | None:
        """Return what a reviewer put in its place; None where it may leave as it is.

        Raises:
            SantralError: it may not, or not yet.
        """
        ...


class OutputGate:
    """Takes the deltas of one answer; ``finish`` says whether it may stand."""

    __slots__ = (
        "_context",
        "_ctx",
        "_emit",
        "_held",
        "_holder",
        "_is_whole",
        "_kept",
        "_masks",
        "_placeholders",
        "_policy",
        "_start_us",
        "_tap",
        "_wants_review",
    )

    def __init__(
        self,
        ctx: RequestContext,
        emit: Emit,
        policy: Policy,
        context: OutputContext,
        holder: Holds | None = None,
    ) -> None:
        self._ctx = ctx
        self._emit = emit
        self._policy = policy
        self._context = context
        self._placeholders = ctx.placeholders
        # Who wants it whole gets nothing of an attempt that fails later: hold it till its end.
        self._is_whole = not ctx.call.view.stream or policy.needs_whole or ctx.route.hold
        self._holder = holder
        self._wants_review: Verdict | None = None
        self._held: list[Delta] = []
        self._masks: StreamMasks | None = None
        self._kept: list[str] = []
        self._tap: Tap | None = None
        self._start_us = 0
        self.restart()

    async def __call__(self, delta: Delta) -> None:
        """Take one delta of the answer."""
        if self._is_whole:
            self._held.append(delta)
        elif self._masks is None:
            await self._send(delta)
        else:
            for ready in self._masks.push(delta):
                await self._send(ready)

    async def finish(self, *, may_retry: bool) -> Correction | None:
        """Let the answer stand, or return what the model should be told.

        Raises:
            OutputRefused: the answer may not leave, and asking again is not allowed or did not help.
        """
        if not self._policy.output and not self._ctx.route.hold:
            await self._let_go()
            return None
        self._start_us = self._ctx.elapsed_us()
        if self._is_whole:
            return await self._judge(fold(self._held), may_retry=may_retry)
        await self._end_stream()
        return None

    async def replay(self, delta: Delta) -> None:
        """Send a delta that passed the gate before: it comes from the cache."""
        await self._send(delta)

    def tap(self, tap: Tap) -> None:
        """Let ``tap`` see every delta on its way out, and stand between it and the caller."""
        self._tap = tap

    def restart(self) -> None:
        """Forget what an attempt gave that nobody has seen: another one begins."""
        self._held = []
        if self._tap is not None:
            self._tap.restart()
        streams = bool(self._policy.output) and not self._is_whole
        if streams:
            has_blocks = self._ctx.dialect.name not in ("chat", "completions")
            self._masks = StreamMasks(
                self._policy.output, self._placeholders, has_blocks=has_blocks
            )
        else:
            self._masks = None

    def close(self) -> None:
        """Leave the answer's text to the trace."""
        self._ctx.answer_text = "".join(self._kept)

    async def _send(self, delta: Delta) -> None:
        if not self._ctx.response_id:
            self._ctx.response_id = delta.id
        if len(self._kept) < MAX_KEPT:  # every part holds a character or more
            self._kept += [c.text for c in delta.choices if c.index == 0 and c.text]
        if self._tap is None:
            await self._emit(delta)
        else:
            await self._tap.send(delta, self._emit)

    async def _judge(self, answer: Delta, *, may_retry: bool) -> Correction | None:
        """Hold the whole answer against every check; pass it on as it came where nothing changed."""
        choices: list[ChoiceDelta] = []
        self._wants_review = None
        if answer is not (answer := only_known(answer)):
            self._held = [answer]
        for choice in answer.choices:
            outcome = await inspect_output(
                self._policy.output, choice.text, self._context, placeholders=self._placeholders
            )
            verdicts = [await self._unquoted(verdict) for verdict in outcome.verdicts]
            self._note(verdicts)
            retry, refusal = _first(verdicts, "retry"), _first(verdicts, "refuse")
            if retry is not None and may_retry:
                # It goes to a provider, perhaps another one, and into the trace.
                said = outcome.texts[0] if refusal is None else _WITHHELD
                return Correction(said, _instruction(retry))
            verdict = refusal or retry
            if verdict is not None:
                raise _refused(verdict)
            self._wants_review = self._wants_review or _first(verdicts, "hold")
            choices.append(await self._masked(choice, outcome.texts[0]))
        is_changed = tuple(choices) != answer.choices
        answer = with_choices(answer, tuple(choices)) if is_changed else answer
        if self._wants_review is not None or self._ctx.route.hold:
            replaced = await self._reviewed(answer)
            is_changed, answer = is_changed or replaced is not None, replaced or answer
        if is_changed:
            await self._send(answer)
        else:
            await self._let_go()
        return None

    async def _reviewed(self, answer: Delta) -> Delta | None:
        """Let a reviewer look first; return what they put in its place, if anything."""
        if self._holder is None:
            why = "it has to wait for a reviewer, and nothing is held here"
            check = self._wants_review.check if self._wants_review else "hold"
            raise _refused(Verdict(check, "found", "hold", why))
        replaced = await self._holder.hold(self._ctx, answer, self._wants_review)
        self._ctx.is_reviewed = True
        return replaced

    async def _let_go(self) -> None:
        for delta in self._held:
            await self._send(delta)

    async def _unquoted(self, verdict: Verdict) -> Verdict:
        """Return the verdict without values that its reason quotes from the answer."""
        checks = self._ctx.route.entity_checks
        if not (checks and verdict.reason):
            return verdict
        outcome = await inspect(checks, [verdict.reason], "output", placeholders=self._placeholders)
        reason = outcome.texts[0] if outcome.refusal is None else _WITHHELD
        return msgspec.structs.replace(verdict, reason=reason)

    async def _masked(self, choice: ChoiceDelta, text: str) -> ChoiceDelta:
        """Return the choice with its other texts masked too: refusal, reasoning, tool arguments, and
        what only its own dialect knows."""
        end = choice.finish_reason
        if choice == ChoiceDelta(choice.index, choice.text, finish_reason=end):
            return ChoiceDelta(choice.index, text, finish_reason=end)  # measured: 4 us less
        others = [choice.refusal, choice.reasoning, *(c.arguments for c in choice.tool_calls)]
        for position, other in enumerate(others):
            if other:
                others[position] = await self._inspected(other)
        native = [
            NativeBlock(block.dialect, await self._leaves(Raw(block.json)))
            for block in choice.native
        ]
        annotations = [Raw(await self._leaves(annotation)) for annotation in choice.annotations]
        return msgspec.structs.replace(
            _with_texts(choice, text, others), native=tuple(native), annotations=tuple(annotations)
        )

    async def _leaves(self, value: Raw) -> bytes:
        masked: Any = value
        for path, text in strings_in(value):
            changed = await self._inspected(text)
            if changed != text:
                masked = with_string(masked, path, changed)
        return bytes(masked) if masked is value else msgspec.json.encode(masked)

    async def _inspected(self, text: str) -> str:
        outcome = await inspect(
            self._ctx.route.part_checks, (text,), "output", placeholders=self._placeholders
        )
        self._note(verdict for verdict in outcome.verdicts if verdict.count)
        if outcome.refusal is not None:
            raise _refused(outcome.refusal)
        self._wants_review = self._wants_review or _first(outcome.verdicts, "hold")
        return outcome.texts[0]

    async def _end_stream(self) -> None:
        if self._masks is None:
            return
        for delta in self._masks.finish():
            await self._send(delta)
        self._note(self._masks.verdicts())
        text = "".join(self._kept)
        if self._policy.after_stream and text:
            outcome = await inspect_output(self._policy.after_stream, text, self._context)
            self._note(outcome.verdicts)

    def _note(self, verdicts: Iterable[Verdict]) -> None:
        note(self._ctx, verdicts, "output")


def _first(verdicts: Iterable[Verdict], action: Action) -> Verdict | None:
    return next((verdict for verdict in verdicts if verdict.action == action), None)


def _with_texts(choice: ChoiceDelta, text: str, others: list[str]) -> ChoiceDelta:
    refusal, reasoning, *arguments = others
    calls = tuple(
        msgspec.structs.replace(call, arguments=argument)
        for call, argument in zip(choice.tool_calls, arguments, strict=True)
    )
    details = choice.details
    if reasoning != choice.reasoning:  # nothing vouches for what the model did not say
        details = tuple(detail for detail in details if detail.type == "encrypted")
    return msgspec.structs.replace(
        choice,
        text=text,
        refusal=refusal,
        reasoning=reasoning,
        tool_calls=calls,
        details=details,
        logprobs=choice.logprobs if text == choice.text else b"",
    )


def _instruction(verdict: Verdict) -> str:
    return (
        f"Your answer cannot be used: {verdict.reason}. Give the whole answer again, corrected, "
        "and nothing else."
    )


def _refused(verdict: Verdict) -> OutputRefused:
    return OutputRefused(
        f"The model's answer was not let through by the check '{verdict.check}': {verdict.reason}.",
        check=verdict.check,
        reason=verdict.reason,
    )

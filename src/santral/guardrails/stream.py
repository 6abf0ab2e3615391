"""Masking of an answer while it streams: what leaves is what masking the whole would give.

Only the live suffix is held back: from the point where the tail of the text is, or may grow into,
an entity. In prose that is the last word. The views are made character by character and every
detector decides from bounded evidence (``Detector``), so a cut at the live suffix changes nothing:
for every split of a text the emitted pieces join to the mask of the whole.

Where more than ``MAX_HELD`` characters would be held, what is decided leaves; a value that still
goes on (a long token, a private key) leaves as its placeholder, and its rest is swallowed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from santral.errors import OutputRefused
from santral.guardrails.check import EntityCheck, Eye, count_kinds
from santral.guardrails.checks.length import Length
from santral.guardrails.entities.entity import MAX_ENTITY, Entity
from santral.guardrails.entities.keys import end_of_tail
from santral.guardrails.entities.mask import Placeholders, mask
from santral.guardrails.normalise import View, plain
from santral.guardrails.patterns import compiled
from santral.guardrails.policy import CheckList, PolicyCheck, failed, found, masked_kinds
from santral.guardrails.verdict import Verdict
from santral.wire.usage import BYTES_PER_TOKEN

#: Characters held at most. Specified: field/guardrails.md 6; above the longest bounded entity.
MAX_HELD: Final = 512
#: Bytes before a cut that are kept for the detectors to look back at; they look back 6 at most.
_CONTEXT: Final = 16
#: Characters kept of a private key that is swallowed: its ending of 54 may be split.
_ENDING: Final = 256
#: Bytes that no entity holds and after which each may begin: a cut there is always right.
_BREAKS: Final = bytes.maketrans(b"\t\n\r\v\f\"'<>{}[]|;*`?!", b" " * 19)


class StreamMask:
    """Masks one choice of a streamed answer; ``push`` what comes, send what it returns.

    Checks that read the whole answer are not run here (``Policy.needs_whole``, ``after_stream``).
    """

    def __init__(
        self, checks: Sequence[PolicyCheck], placeholders: Placeholders | None = None
    ) -> None:
        self._checks = checks if isinstance(checks, CheckList) else CheckList.of(checks)
        self._eye = self._checks.eye
        self._placeholders = placeholders or Placeholders()
        self._text = ""  # context, then what is held
        self._context = 0  # characters of it that have left already
        self._tail = ""  # the value whose rest is being swallowed
        self._before = ""  # the last characters swallowed: an ending may be split
        self._counts: dict[str, list[str]] = {}
        self._size_bytes = 0
        self._broken: list[Verdict] = []
        self._busy_ns = 0
        self._is_raw = not self._eye.detectors
        self._kinds = masked_kinds(self._checks)
        self._limits = [
            (check, check.call)
            for check in self._checks
            if isinstance(check.call, Length) and check.action == "refuse"
        ]

    @property
    def held_characters(self) -> int:
        """How many characters wait for their continuation."""
        return len(self._text) - self._context

    def push(self, text: str) -> str:
        """Take the next piece of the answer and return what may leave now.

        Raises:
            OutputRefused: a check that refuses found something; it has not left.
        """
        return self._timed(text, is_last=False)

    def flush(self) -> str:
        """Return the rest: call it at the end, before the finish reason leaves.

        Raises:
            OutputRefused: as ``push``.
        """
        return self._timed("", is_last=True)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return one verdict per check that ran on the stream; complete after ``flush``."""
        return tuple(
            self._verdict(check, kinds)
            for check, kinds in zip(self._checks, self._eye.kinds_of, strict=True)
            if not check.call.reads_whole
        )

    def _timed(self, text: str, *, is_last: bool) -> str:
        started = time.perf_counter_ns()
        self._size_bytes += len(text) if text.isascii() else len(text.encode(errors="replace"))
        if self._limits:
            self._refuse_length()
        try:
            return text if self._is_raw else self._advance(text, is_last=is_last)
        except OutputRefused:
            raise
        except Exception as error:  # noqa: BLE001 - a broken check is a verdict; the policy says which way it falls
            return self._break(error)
        finally:
            self._busy_ns += time.perf_counter_ns() - started

    def _break(self, error: Exception) -> str:
        checks = [check for check in self._checks if isinstance(check.call, EntityCheck)]
        self._broken = [failed(check, error, time.perf_counter_ns()) for check in checks]
        for check, verdict in zip(checks, self._broken, strict=True):
            if check.is_closed:
                raise _refused(verdict) from error
        rest = self._text[self._context :]
        self._is_raw, self._text, self._context = True, "", 0
        return rest

    def _advance(self, text: str, *, is_last: bool) -> str:
        if self._tail:
            text = self._swallow(text)
        self._text += text
        if not self._text:
            return ""
        view = plain(self._text)
        hits = self._eye.hits(view.data)
        if not hits and not self._context and not is_last:
            cut = live_suffix(self._eye, view.data)
            if len(view.data) - cut <= MAX_HELD:  # nearly always
                return self._let_go(view.index(cut))
        return self._look(view, hits, is_last=is_last)

    def _let_go(self, at: int) -> str:
        leaving, self._text = self._text[:at], self._text[at:]
        return leaving

    def _look(self, view: View, hits: frozenset[str], *, is_last: bool) -> str:
        context = self._context_bytes()
        entities = self._eye.entities(view.data, hits, context, 0) if hits else []
        if is_last:
            return self._release(view, entities, len(view.data))
        cut = self._cut(view.data, context, entities)
        if len(view.data) - cut > MAX_HELD:
            return self._release_early(view, entities, max(cut, len(view.data) - MAX_ENTITY))
        return "" if cut == context else self._release(view, entities, cut)

    def _context_bytes(self) -> int:
        return len(plain(self._text[: self._context]).data)

    def _cut(self, data: bytes, context: int, entities: Sequence[Entity]) -> int:
        """Return where the live suffix begins; an entity that touches the end may go on."""
        cut = max(live_suffix(self._eye, data), context)
        for entity in reversed(entities):
            if entity.end > cut or entity.end == len(data):
                cut = min(cut, entity.anchor)
        return cut

    def _release_early(self, view: View, entities: Sequence[Entity], cut: int) -> str:
        """Let go of what is decided: every evidence that began before ``cut`` is all there."""
        decided = [entity for entity in entities if entity.anchor < cut]
        if not decided or decided[-1].end <= cut:
            return self._release(view, decided, cut, keep=_CONTEXT)
        last = decided[-1]
        if last.end == len(view.data) and last.tail:
            self._tail = last.tail
            self._before = self._text[-_ENDING:] if last.tail == "pem" else ""
        return self._release(view, decided, last.end)

    def _release(self, view: View, entities: Sequence[Entity], cut: int, *, keep: int = 0) -> str:
        """Return the text before byte ``cut``, masked; keep the rest and ``keep`` bytes before."""
        leaving = [entity for entity in entities if entity.end <= cut]
        self._judge(leaving)
        at = view.index(cut)
        masked = self._mask(view, leaving, at)
        start = view.index(max(0, cut - keep)) if keep else at
        if leaving and keep:
            start = max(start, view.index(leaving[-1].end))
        self._text, self._context = self._text[start:], at - start
        return masked

    def _mask(self, view: View, entities: Sequence[Entity], at: int) -> str:
        shown = [entity for entity in entities if entity.kind in self._kinds]
        return mask(self._text[:at], view, shown, self._placeholders)[self._context :]

    def _judge(self, entities: Sequence[Entity]) -> None:
        for entity in entities:
            self._counts.setdefault(entity.kind, []).append(entity.kind)
        if not entities:
            return
        for check, kinds in zip(self._checks, self._eye.kinds_of, strict=True):
            if check.action == "refuse" and any(entity.kind in kinds for entity in entities):
                raise _refused(self._verdict(check, kinds))

    def _swallow(self, text: str) -> str:
        """Drop the rest of a value that has been masked already; return what follows it."""
        data = self._before + text
        view = plain(data)
        end = end_of_tail(self._tail, view.data)
        if end is None:
            self._before = data[-_ENDING:] if self._tail == "pem" else ""
            return ""
        self._tail = ""
        rest = data[view.index(end) :]
        self._before = ""
        return rest

    def _refuse_length(self) -> None:
        for check, length in self._limits:
            verdict = self._length_verdict(check, length)
            if verdict.count:
                raise _refused(verdict)

    def _length_verdict(self, check: PolicyCheck, length: Length) -> Verdict:
        finding = length.judge(int(self._size_bytes / BYTES_PER_TOKEN), is_whole=False)
        if finding.count:
            return found(check, finding, time.perf_counter_ns())
        return Verdict(check.name, "passed", "allow")

    def _verdict(self, check: PolicyCheck, kinds: frozenset[str]) -> Verdict:
        for verdict in self._broken:
            if verdict.check == check.name:
                return verdict
        if isinstance(check.call, Length):
            return self._length_verdict(check, check.call)
        names = [name for kind, seen in self._counts.items() if kind in kinds for name in seen]
        if not names:
            return Verdict(check.name, "passed", "allow", "", 0, self._busy_ns // 1000)
        return Verdict(
            check.name, "found", check.action, count_kinds(names), len(names), self._busy_ns // 1000
        )


def _refused(verdict: Verdict) -> OutputRefused:
    return OutputRefused(
        f"The answer was stopped by the check '{verdict.check}': {verdict.reason}.",
        check=verdict.check,
        reason=verdict.reason,
    )


def live_suffix(eye: Eye, data: bytes) -> int:
    """Return the byte from which ``data`` may still become an entity, entities found aside."""
    words = data.translate(_BREAKS)
    start = words.rfind(b" ") + 1
    near = max(0, len(data) - MAX_HELD)
    tail = data[near:]
    for name in eye.held_hits(tail):
        match = compiled(eye.held[name]).search(tail)
        if match is not None and near + match.start() < start:
            start = words.rfind(b" ", 0, near + match.start() + 1) + 1
    return start

"""Ends an answer where the caller's stop sequence begins, or where the JSON asked for is complete.

What a provider would go on to make costs tokens that nobody reads: the stream is closed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import with_choices


class EarlyEnd:
    """Looks at one answer's deltas and cuts each choice at its end.

    Text that may be the beginning of a stop sequence is held back until it is known not to be, so
    that nothing of a stop sequence ever leaves, however it is split over deltas.
    """

    def __init__(self, stops: Sequence[str], *, is_json: bool, choices: int = 1) -> None:
        """``is_json`` ends a choice after its JSON object or array; ``choices`` is how many come."""
        self._stops = tuple(stop for stop in stops if stop)
        self._is_json = is_json
        self._expected = choices
        self._choices: dict[int, _Choice] = {}

    @property
    def is_over(self) -> bool:
        """Whether every choice has been cut: the provider need not go on."""
        return len(self._choices) >= self._expected and all(
            choice.is_cut for choice in self._choices.values()
        )

    def take(self, delta: Delta) -> list[Delta]:
        """Return what of a delta may leave now; usage always does."""
        if not delta.choices:
            return [delta]
        cuts = [self._cut(choice, is_whole=delta.is_whole) for choice in delta.choices]
        kept = tuple(cut.kept for cut in cuts if cut.kept is not None)
        ends = tuple(cut.end for cut in cuts if cut.end is not None)
        if not ends:
            if kept == delta.choices:
                return [delta]
            return [with_choices(delta, kept)] if kept or delta.usage is not None else []
        if delta.is_whole:
            return [_composed(delta, _merged(kept, ends))]
        said = tuple(choice for choice in kept if choice.has_content)
        # Composed without the provider's bytes: those say how the provider ended it, or not at all.
        head = msgspec.structs.replace(delta, usage=None)
        return ([_composed(head, said)] if said else []) + [_composed(delta, ends)]

    def _cut(self, delta: ChoiceDelta, *, is_whole: bool) -> _Cut:
        choice = self._choices.get(delta.index)
        if choice is None:
            choice = self._choices[delta.index] = _Choice(self._stops, is_json=self._is_json)
        if choice.is_cut:
            return _Cut()
        is_last = is_whole or delta.finish_reason is not None
        text, stop = choice.push(delta.text, is_last=is_last)
        kept = delta if text == delta.text else msgspec.structs.replace(delta, text=text)
        if not choice.is_cut:
            return _Cut(kept)
        end = ChoiceDelta(index=delta.index, finish_reason="stop", stop_sequence=stop)
        return _Cut(msgspec.structs.replace(kept, finish_reason=None, native_finish=""), end)


def stop_sequences(value: Any) -> tuple[str, ...]:
    """Return the stop sequences of a request's ``stop``: a text, a list of texts, or nothing."""
    found = msgspec.json.decode(value) if isinstance(value, Raw) else value
    if isinstance(found, str):
        return (found,)
    return tuple(stop for stop in found or () if isinstance(stop, str))


class _Cut(Struct, frozen=True):
    kept: ChoiceDelta | None = None  # None: the choice had ended before
    end: ChoiceDelta | None = None  # set where it ends here


def _composed(delta: Delta, choices: tuple[ChoiceDelta, ...]) -> Delta:
    return msgspec.structs.replace(delta, choices=choices, raw=b"")


def _merged(
    kept: tuple[ChoiceDelta, ...], ends: tuple[ChoiceDelta, ...]
) -> tuple[ChoiceDelta, ...]:
    """Return the choices of a whole answer with the ends of those that were cut."""
    cut = {end.index: end for end in ends}
    return tuple(
        msgspec.structs.replace(
            choice,
            finish_reason=cut[choice.index].finish_reason,
            stop_sequence=cut[choice.index].stop_sequence,
            logprobs=b"",  # they spell what was cut off
        )
        if choice.index in cut
        else choice
        for choice in kept
    )


class _Choice:
    """The text of one choice as it comes."""

    __slots__ = ("_held", "_is_json", "_json", "_stops", "is_cut")

    def __init__(self, stops: tuple[str, ...], *, is_json: bool) -> None:
        self._stops = stops
        self._is_json = is_json
        self._json = _Json()
        self._held = ""
        self.is_cut = False

    def push(self, text: str, *, is_last: bool) -> tuple[str, str]:
        """Return the text that may leave, and the stop sequence that ended it, if one did."""
        text, stop = self._until_stop(self._held + text, is_last=is_last)
        if self._is_json and text:
            end = self._json.end_in(text)
            if end is not None and end < len(text):
                self.is_cut, text, stop = True, text[:end], ""
        return text, stop

    def _until_stop(self, text: str, *, is_last: bool) -> tuple[str, str]:
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            at, stop = min(found)
            self.is_cut, self._held = True, ""
            return text[:at], stop
        size = 0 if is_last else max((_begun(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - size :]
        return text[: len(text) - size], ""


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of ``text`` are the beginning of ``stop``."""
    most = min(len(stop) - 1, len(text))
    return next((size for size in range(most, 0, -1) if text.endswith(stop[:size])), 0)


class _Json:
    """Finds the end of a JSON object or array in a text that comes in pieces.

    It ends nothing that begins with something else, such as a fence of Markdown.
    """

    __slots__ = ("_depth", "_is_escaped", "_is_text", "_state")

    def __init__(self) -> None:
        self._state = "before"
        self._depth = 0
        self._is_text = False  # inside a string
        self._is_escaped = False

    def end_in(self, text: str) -> int | None:
        """Return where in ``text`` the answer may be cut, or None."""
        if self._state == "complete":
            return 0  # what follows the end is what nobody needs
        for at, sign in enumerate(text):
            if self._state == "before":
                self._open(sign)
            if self._state == "other":
                return None
            if self._state == "inside" and self._closes(sign):
                self._state = "complete"
                return at + 1
        return None

    def _open(self, sign: str) -> None:
        if sign in "{[":
            self._state = "inside"
        elif not sign.isspace():
            self._state = "other"

    def _closes(self, sign: str) -> bool:
        """Take one sign; true where it closes what was opened first."""
        if self._is_text:
            self._take_text(sign)
        elif sign == '"':
            self._is_text = True
        elif sign in "{[":
            self._depth += 1
        elif sign in "}]":
            self._depth -= 1
        return self._depth == 0

    def _take_text(self, sign: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif sign == "\\":
            self._is_escaped = True
        elif sign == '"':
            self._is_text = False

"""Finds marks of citations in a text that comes in pieces, wherever those are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from santral.wire.marks import MARK_BEGINNING, MARK_PATTERN, numbers_of

_TOKEN = re.compile(rf"(?P<ticks>`+)|(?P<line>\n)|(?P<space>[ \t]{{0,8}}){MARK_PATTERN}")
_MAY_MARK = re.compile(r"[\[【`]|[ \t]\Z")
#: What may go on in the next piece: blanks before a mark, a mark, back quotes.
_OPEN = re.compile(rf"(?:[ \t]{{0,8}}(?:{MARK_BEGINNING})?|`+)\Z")
#: Letters at the end of a text in which an open mark can begin: its own 143 and the blanks before it.
_REACH = 160
#: Back quotes from which code goes on over line ends. Specified: CommonMark 0.31, section 4.5.
_FENCE = 3


class Mark(Struct, frozen=True):
    """A mark as it stands in the text, with the blanks before it; ``glued``: right behind a word."""

    text: str
    space: str
    numbers: tuple[int, ...]
    is_glued: bool


class MarkReader:
    """Takes one text piece by piece; marks inside of code are text."""

    def __init__(self) -> None:
        self._held = ""
        self._last = ""  # the letter before what is held
        self._ticks = 0  # back quotes that opened the code which is under way

    @property
    def is_holding(self) -> bool:
        """Whether something waits for what comes next."""
        return bool(self._held)

    def passes(self, text: str) -> bool:
        """Whether a text is certain as it is: nearly every one, so that it is told first."""
        if self._held or _MAY_MARK.search(text) is not None:
            return False
        if "\n" in text and self._ticks < _FENCE:
            self._ticks = 0
        self._last = text[-1:] or self._last
        return True

    def push(self, text: str) -> list[str | Mark]:
        """Return texts and marks that are certain by now."""
        if self.passes(text):
            return [text] if text else []
        whole = self._held + text
        tail = max(0, len(whole) - _REACH)
        found = _OPEN.search(whole, tail)
        cut = len(whole) if found is None else found.start()
        self._held = whole[cut:]
        return list(self._read(whole[:cut]))

    def finish(self) -> list[str | Mark]:
        """Return what was held: the text is over."""
        held, self._held = self._held, ""
        return list(self._read(held))

    def _read(self, text: str) -> Iterator[str | Mark]:
        done = 0
        for token in _TOKEN.finditer(text):
            if token["ticks"]:
                self._note_ticks(len(token["ticks"]))
            elif token["line"]:
                self._ticks = self._ticks if self._ticks >= _FENCE else 0
            elif not self._ticks:
                start = token.start()
                before = text[start - 1] if start else self._last
                if text[done:start]:
                    yield text[done:start]
                done = token.end()
                mark = text[start + len(token["space"]) : done]
                is_glued = not token["space"] and (before.isalnum() or before in ("_", ")"))
                yield Mark(mark, token["space"], tuple(numbers_of(token["numbers"])), is_glued)
        if text[done:]:
            yield text[done:]
        self._last = text[-1:] or self._last

    def _note_ticks(self, count: int) -> None:
        if not self._ticks:
            self._ticks = count
        elif count == self._ticks or count >= _FENCE <= self._ticks:
            self._ticks = 0

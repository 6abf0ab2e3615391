"""Numbers of people and cards: T.C. kimlik no, payment cards, telephones, spaced or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from santral.guardrails.entities.checksums import is_card, is_tckn
from santral.guardrails.entities.entity import Entity
from santral.guardrails.entities.phone import phone_at

#: Where a number of one of the shapes below may begin. Most digits begin none: telling so in C
#: keeps a page of numbers cheap.
_SHAPED: Final = re.compile(
    rb"[0-9]{10,19}(?![0-9])"  # in one piece
    rb"|[0-9]{4}[ \-][0-9]{4,6}[ \-][0-9]{4,5}|[0-9]{8}[ \-][0-9]{8}"  # cards
    rb"|[0-9]{2,3}[ .\-)/]{1,3}[0-9]{3,4}[ .\-]?[0-9]{2,4}|[0-9]{5}[ .\-][0-9]{6}"
    rb"|[0-9](?:[ .\-][0-9]){9,15}(?![0-9]|[ .\-][0-9](?![0-9]))"  # digit by digit
    rb"|0[ ]?\(?[0-9]{1,5}\)?[ .\-/]{0,3}[0-9]{2,8}|1[ .\-]\(?[2-9][0-9]{2}"  # national
    rb"|(?<=\+)[0-9]|(?<=\+\()[0-9]|00[1-9]"  # international
)
_ONE_BY_ONE: Final = re.compile(rb"[0-9](?:[ .\-][0-9](?![0-9])){9}")
_ONE_BEFORE: Final = re.compile(rb"(?<![0-9])[0-9][ .\-]\Z")
_GROUP: Final = re.compile(rb"[0-9]+")
_NEXT: Final = re.compile(rb"([ .()/\-]{1,3})([0-9]+)")
_AMOUNT: Final = re.compile(rb"[.,][0-9]{1,2}(?![0-9])")  # 10000000146,50 TL is a price

#: How people group the digits; anything else is a table of numbers more often than an identity.
#: Chosen: of random 11 digits 1 % are a valid kimlik no, of random 16 digits 10 % pass Luhn.
_TCKN_SHAPES: Final = frozenset({(11,), (3, 3, 3, 2), (2, 3, 3, 3), (3, 4, 4), (5, 6), (1,) * 11})
_CARD_SHAPES: Final = frozenset(
    {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (8, 8)}
    | {(length,) for length in range(13, 20)}
    | {(1,) * length for length in (15, 16)}
)
_MOST_GROUPS: Final = 16
_MOST_DIGITS: Final = 20


class _Window(NamedTuple):
    """Groups of digits from one start, as far as an identity could reach."""

    ends: list[int]
    lengths: list[int]
    separators: list[bytes]


class Digits:
    """Finds identity numbers, cards and telephone numbers among the digits of a text."""

    kinds = ("TCKN", "CARD", "PHONE")
    gates = (r"[0-9](?:[ .()/\-]{0,3}[0-9]){6}",)
    held = (r"[0-9](?:[ .()/\-]{0,3}[0-9])*[ .()/\-]{0,3}\z",)

    def __init__(self, kinds: frozenset[str], regions: tuple[str, ...]) -> None:
        self._regions = regions
        self._readers: list[Callable[[bytes, int, int, _Window], Entity | None]] = []
        if "TCKN" in kinds:
            self._readers.append(_tckn)
        if "CARD" in kinds:
            self._readers.append(_card)
        if "PHONE" in kinds:
            self._readers.append(self._phone)

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        for group in _GROUP.finditer(data, pos):
            start = group.start()
            if _SHAPED.match(data, start) and (found := self._at(data, start, floor)):
                return found
        return None

    def _at(self, data: bytes, start: int, floor: int) -> Entity | None:
        if not _may_start(data, start, floor) or _goes_on_one_by_one(data, start, floor):
            return None
        window = _window(data, start)
        if not window.ends:
            return None
        found = [entity for read in self._readers if (entity := read(data, start, floor, window))]
        return max(found, key=lambda entity: entity.end - entity.start, default=None)

    def _phone(self, data: bytes, start: int, floor: int, window: _Window) -> Entity | None:
        found = phone_at(data, start, floor, window.ends[-1], self._regions)
        if found is None:
            return None
        first, end, number = found
        if first > floor and _ends_word(data, first, floor):
            return None
        return Entity("PHONE", first, end, number, first)


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"


def _may_start(data: bytes, start: int, floor: int) -> bool:
    """Whether a number may begin here: not inside a word, an identifier or a decimal."""
    if start <= floor:
        return True
    before = data[start - 1 : start]
    if before in b".,":
        return start - 1 <= floor or not data[start - 2 : start - 1].isdigit()
    return not _ends_word(data, start, floor)


def _ends_word(data: bytes, end: int, floor: int) -> bool:
    """Whether a word ends at ``end``; the letter of an escaped line feed is none."""
    if not _is_word(data[end - 1 : end]):
        return False
    return not (end - 2 >= floor and data[end - 2 : end] in (b"\\n", b"\\r", b"\\t"))


def _goes_on_one_by_one(data: bytes, start: int, floor: int) -> bool:
    """Whether single digits stand before and after: a row of numbers."""
    return (
        start - 2 >= floor
        and _ONE_BY_ONE.match(data, start) is not None
        and _ONE_BEFORE.search(data, max(floor, start - 3), start) is not None
    )


def _window(data: bytes, start: int) -> _Window:
    """Read groups of digits; one that runs into a word belongs to the word."""
    ends: list[int] = []
    lengths: list[int] = []
    separators: list[bytes] = []
    separator = b""
    match = _GROUP.match(data, start)
    while match is not None and len(lengths) < _MOST_GROUPS and sum(lengths) < _MOST_DIGITS:
        if _is_word(data[match.end() : match.end() + 1]):
            break
        if lengths:
            separators.append(separator)
        ends.append(match.end())
        lengths.append(match.end() - match.start(match.re.groups))
        match = _NEXT.match(data, match.end())
        separator = match.group(1) if match else b""
    return _Window(ends, lengths, separators)


def _shapes(window: _Window, separators: bytes) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the groups' lengths and their end, longest first, while one separator divides them."""
    same = 1
    while (
        same < len(window.lengths)
        and window.separators[same - 1] == window.separators[0]
        and window.separators[0] in separators
        and len(window.separators[0]) == 1
    ):
        same += 1
    for count in range(same, 0, -1):
        yield tuple(window.lengths[:count]), window.ends[count - 1]


def _tckn(data: bytes, start: int, floor: int, window: _Window) -> Entity | None:
    for shape, end in _shapes(window, b" .-"):
        if shape in _TCKN_SHAPES and not _is_amount(data, end):
            digits = _only_digits(data, start, end)
            if is_tckn(digits):
                return Entity("TCKN", start, end, digits, start)
    return None


def _card(data: bytes, start: int, floor: int, window: _Window) -> Entity | None:
    for shape, end in _shapes(window, b" -"):
        if (
            shape in _CARD_SHAPES
            and not _is_amount(data, end)
            and not _in_table(data, start, floor, shape)
        ):
            digits = _only_digits(data, start, end)
            if is_card(digits):
                return Entity("CARD", start, end, digits, start)
    return None


def _is_amount(data: bytes, end: int) -> bool:
    return _AMOUNT.match(data, end) is not None


def _in_table(data: bytes, start: int, floor: int, shape: tuple[int, ...]) -> bool:
    """Whether another group of four stands before: a column of numbers, not a card."""
    if shape[0] != 4 or start - 5 < floor:
        return False
    before = data[start - 5 : start]
    # Also where the group is the first there is: a stream may have let go of what stood before it.
    is_longer = start - 6 >= floor and data[start - 6 : start - 5].isdigit()
    return before[:4].isdigit() and not is_longer and before[4:] in (b" ", b"-")


def _only_digits(data: bytes, start: int, end: int) -> str:
    return b"".join(_GROUP.findall(data, start, end)).decode()

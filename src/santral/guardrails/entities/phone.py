"""Telephone numbers: shapes first, then Google's numbering plans for the few that have one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import phonenumbers

#: Fewest digits of an international number without its plus. Specified: ITU-T E.164 allows 15 at most.
_LEAST, _MOST = 8, 15
_DIGITS: Final = re.compile(rb"[0-9]+")
_NOT_DIGITS: Final = re.compile(rb"[^0-9]")
_GROUPED: Final = re.compile(rb"\(?[0-9]+(?:[ .()/\-]{1,3}[0-9]+){0,8}")

# A national number must be written like one: bare digits are order numbers as often as phones.
_SHAPES: Final = {
    "TR": re.compile(
        rb"\(?0? ?\(?(?:[2-58][0-9]{2}\)?[ .\-/]{1,3}[0-9]{3}[ .\-]?[0-9]{2}[ .\-]?[0-9]{2}"
        rb"|(?:5[0-9]{2})\)?[0-9]{3}[ .\-]?[0-9]{2}[ .\-]?[0-9]{2})(?![0-9])"
        rb"|\(?0[ ]?\(?[2-58][0-9]{2}\)?[0-9]{3}[ .\-]?[0-9]{2}[ .\-]?[0-9]{2}(?![0-9])"
        rb"|0 [2-58](?: [0-9]){9}(?![0-9]| [0-9])|05[0-9](?:[ .\-][0-9]{2}){4}(?![0-9])"
    ),
    "US": re.compile(
        rb"(?:1[ .\-])?(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}(?![0-9])"
    ),
}
_TRUNK: Final = re.compile(
    rb"\(?0[0-9]{2,5}\)?(?:[ \-/]{1,2}[0-9]{2,8}){1,4}(?![0-9])"
)  # GB, DE, FR ...: a leading 0 and at least one separator


def phone_at(
    data: bytes, start: int, floor: int, limit: int, regions: tuple[str, ...]
) -> tuple[int, int, str] | None:
    """Return start, end and E.164 form of the number whose first digit is at ``start``, up to ``limit``."""
    if start > floor and data[start - 1 : start] == b"(":
        start -= 1
    if start > floor and data[start - 1 : start] == b"+":
        return _international(data, start - 1, start, limit)
    if data[start : start + 2] == b"00":
        return _international(data, start, start, limit)
    for region in regions:
        if (found := _national(data, start, limit, region)) is not None:
            return found
    return None


def _international(data: bytes, start: int, first: int, limit: int) -> tuple[int, int, str] | None:
    match = _GROUPED.match(data, first, limit)
    if match is None:
        return None
    sign = data[start : start + 1] == b"+"
    possible: tuple[int, int, str] | None = None
    for end in _ends(data, first, match.end()):
        digits = _digits(data[first:end])
        number = ("+" + digits if sign else "+" + digits[2:]) if len(digits) <= _MOST + 2 else ""
        if len(number) <= _LEAST:
            continue
        if _e164(number, "", strictly=True):
            return start, end, number
        if possible is None and sign and _e164(number, "", strictly=False):
            possible = start, end, number
    return possible


def _national(data: bytes, start: int, limit: int, region: str) -> tuple[int, int, str] | None:
    shape = _SHAPES.get(region)
    match = (shape or _TRUNK).match(data, start, limit)
    if match is None:
        return None
    digits = _digits(match.group())
    strictly = shape is None or digits == match.group().decode()
    number = _e164(digits, region, strictly=strictly)
    return (start, match.end(), number) if number else None


def _ends(data: bytes, start: int, end: int) -> list[int]:
    """Return where the groups of digits end, the last first."""
    return [match.end() for match in _DIGITS.finditer(data, start, end)][::-1]


def _digits(data: bytes) -> str:
    return _NOT_DIGITS.sub(b"", data).decode()


@lru_cache(maxsize=512)  # a stream looks at its last number again with every delta
def _e164(digits: str, region: str, *, strictly: bool) -> str:
    """Return the number as +905321234567; empty when its country's plan does not have it.

    Not ``strictly`` asks for a possible length only.
    """
    try:
        parsed = phonenumbers.parse(digits, region or None)
    except phonenumbers.NumberParseException:
        return ""
    check = phonenumbers.is_valid_number if strictly else phonenumbers.is_possible_number
    return f"+{parsed.country_code}{parsed.national_number}" if check(parsed) else ""

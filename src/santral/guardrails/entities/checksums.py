"""Checksums of numbers that identify people and cards."""

from __future__ import annotations

from typing import Final

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others. Source: ISO/IEC 7812-1, B."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        total += _DOUBLED[int(digit)] if index % 2 else int(digit)
    return total % 10 == 0


#: First digits (lowest, highest) and lengths. Source: ISO/IEC 7812 ranges as the networks publish
#: them; TROY 9792, Mastercard's 2-series 2221-2720.
_ISSUERS: Final[tuple[tuple[int, int, tuple[int, ...]], ...]] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (9792, 9792, (16,)),  # TROY
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),
    (300, 305, (14, 16)),  # Diners Club
    (36, 36, (14, 16)),
    (38, 39, (14, 16)),
    (6011, 6011, (16, 19)),  # Discover
    (644, 649, (16, 19)),
    (65, 65, (16, 19)),
    (3528, 3589, (16, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (2200, 2204, (16, 19)),  # Mir
    (5018, 5018, (16, 18, 19)),  # Maestro
    (5020, 5020, (16, 18, 19)),
    (5038, 5038, (16, 18, 19)),
    (6304, 6304, (16, 18, 19)),
    (6759, 6763, (16, 18, 19)),
)


def is_card(digits: str) -> bool:
    """Whether ``digits`` have a known issuer, its length and the Luhn check digit."""
    length = len(digits)
    for low, high, lengths in _ISSUERS:
        if length in lengths and low <= int(digits[: len(str(low))]) <= high:
            return is_luhn(digits) and len(set(digits)) > 1
    return False


def is_tckn(digits: str) -> bool:
    """Whether 11 ``digits`` are a T.C. kimlik no; foreigners' (99...) follow the same rule.

    Source: Nüfus ve Vatandaşlık İşleri; digit 10 from the odd and even places, digit 11 from all.
    """
    if len(digits) != 11 or digits[0] == "0":
        return False
    d = [int(digit) for digit in digits]
    tenth = (7 * sum(d[0:9:2]) - sum(d[1:8:2])) % 10
    return d[9] == tenth and d[10] == sum(d[:10]) % 10

"""International bank account numbers, all countries of the registry, checked by mod-97."""

from __future__ import annotations

import re
from typing import Final

from santral.guardrails.entities.entity import Entity

#: Length by country. Source: SWIFT IBAN registry, release 99.
_REGISTRY: Final = """
AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24
DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27
GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20
LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24
PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25
SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30
"""
LENGTHS: Final = {pair[:2]: int(pair[3:]) for pair in _REGISTRY.split()}

_START: Final = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ \-]?[A-Za-z0-9])")
_START_HERE: Final = re.compile(rb"[A-Za-z]{2}[0-9]{2}(?=[ \-]?[A-Za-z0-9])")


class Ibans:
    """Finds IBANs, spaced or not, in capitals or not."""

    kinds = ("IBAN",)
    gates = (r"[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]){10}",)
    held = (r"\b[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]){0,30}[ \-]?\z",)

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        if pos == floor and _START_HERE.match(data, pos) and (found := _read(data, pos)):
            return found
        for match in _START.finditer(data, pos):
            if found := _read(data, match.start()):
                return found
        return None


def _read(data: bytes, start: int) -> Entity | None:
    length = LENGTHS.get(data[start : start + 2].decode().upper())
    if length is None:
        return None
    end = _end(data, start, length)
    if end is None or data[end : end + 1].isalnum():
        return None
    value = re.sub(rb"[ \-]", b"", data[start:end]).decode().upper()
    return Entity("IBAN", start, end, value, start) if is_iban(value) else None


def _end(data: bytes, start: int, length: int) -> int | None:
    """Return where ``length`` letters and digits with single separators end."""
    position = start
    for count in range(length):
        if count and data[position : position + 1] in (b" ", b"-"):
            position += 1
        if not data[position : position + 1].isalnum():
            return None
        position += 1
    return position


def is_iban(value: str) -> bool:
    """Whether ``value``, without spaces and in capitals, has its country's length and checksum."""
    if len(value) != LENGTHS.get(value[:2], 0) or not value[2:4].isdigit():
        return False
    return int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1

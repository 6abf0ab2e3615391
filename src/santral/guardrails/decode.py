"""Further views of a text, in which a rule may find what the plain view hides.

Each view is made only where a pattern says that there may be something to undo, and at most a
bounded piece of the text is decoded. They are for detection: nothing decoded is ever sent on.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from santral.guardrails.normalise import plain

#: Names of the patterns that call for a view, for the Set that looks at every text.
TRIGGERS: Final[dict[str, str]] = {
    "view.spaced": r"(?:\b[A-Za-z0-9@$][ ._*|/\-]{1,3}){7}[A-Za-z0-9@$]\b",
    "view.leet": r"[A-Za-z][013457@$!|]{1,3}[A-Za-z]",
    "view.base64": r"[A-Za-z0-9+/_\-]{24}",
    "view.hex": r"(?:[0-9a-fA-F]{2}[ :]?){16}",
    "view.percent": r"(?:%[0-9a-fA-F]{2}){6}",
    "view.rot13": r"(?i)\brot-?\s?13|caesar|sezar|decod|decrypt|decipher|cipher|sifresini coz|sifrele|coz ve",
    "view.reversed": r"(?i)\brevers|backwards|tersten|ters cevir",
}

_MAX_PIECES: Final = 16  # encoded pieces looked at in one text; chosen
_MAX_PIECE: Final = 16_384  # bytes of one piece; chosen

_LEET: Final = bytes.maketrans(b"013457@$!|", b"oieastasil")
_BETWEEN: Final = re.compile(rb"(?<=\b[A-Za-z0-9@$])[ ._*|/\-](?=[A-Za-z0-9@$]\b)")
_NOT_LETTERS: Final = re.compile(rb"[^A-Za-z0-9]+")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_\-]{24,16384}={0,2}")
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}[ :]?){16,8192}")
_PERCENT: Final = re.compile(rb"[^\s%]{0,64}(?:%[0-9a-fA-F]{2}[^\s%]{0,64}){6,2048}")


def views(data: bytes, hits: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of every view that ``hits`` (names of triggers) call for."""
    for name, make in _MAKERS.items():
        if name in hits:
            for made in make(data):
                yield name.removeprefix("view."), made


def squashed(data: bytes) -> bytes:
    """Return the letters and digits alone: evenly spaced letters leave no word boundaries."""
    return _NOT_LETTERS.sub(b"", data)


def _spaced(data: bytes) -> Iterator[bytes]:
    yield _BETWEEN.sub(b"", data)


def _leet(data: bytes) -> Iterator[bytes]:
    yield data.translate(_LEET)


def _base64(data: bytes) -> Iterator[bytes]:
    for number, match in enumerate(_BASE64.finditer(data)):
        if number == _MAX_PIECES:
            return
        piece = match.group().rstrip(b"=")[:_MAX_PIECE]
        alphabet = b"-_" if b"-" in piece or b"_" in piece else b"+/"
        piece = piece[: len(piece) - (len(piece) % 4 == 1)]
        try:
            decoded = base64.b64decode(piece + b"=" * (-len(piece) % 4), altchars=alphabet)
        except (binascii.Error, ValueError):
            continue
        yield from _if_text(decoded)


def _hex(data: bytes) -> Iterator[bytes]:
    for number, match in enumerate(_HEX.finditer(data)):
        if number == _MAX_PIECES:
            return
        digits = re.sub(rb"[ :]", b"", match.group())[:_MAX_PIECE]
        yield from _if_text(bytes.fromhex(digits.decode()))


def _percent(data: bytes) -> Iterator[bytes]:
    for number, match in enumerate(_PERCENT.finditer(data)):
        if number == _MAX_PIECES:
            return
        yield from _if_text(unquote_to_bytes(match.group()))


def _rot13(data: bytes) -> Iterator[bytes]:
    yield codecs.encode(data.decode("ascii"), "rot13").encode()


def _reversed(data: bytes) -> Iterator[bytes]:
    yield data[::-1]


def _if_text(decoded: bytes) -> Iterator[bytes]:
    """Yield the plain view of decoded bytes that are printable text."""
    text = decoded.decode("utf-8", "ignore")
    printable = sum(char.isprintable() or char.isspace() for char in text)
    if len(text) >= 12 and printable >= 0.9 * len(text):
        yield plain(text).data


_MAKERS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "view.spaced": _spaced,
    "view.leet": _leet,
    "view.base64": _base64,
    "view.hex": _hex,
    "view.percent": _percent,
    "view.rot13": _rot13,
    "view.reversed": _reversed,
}

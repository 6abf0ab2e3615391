"""Encodings: bytes become text, whatever wrote them; nothing that is no text gets through."""

from __future__ import annotations

import codecs
import re

# Bytes that text has no use for; more than a few of them are a picture or a program.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
#: One byte of so many may be such a one. Chosen: form feeds and stray escapes stay text.
_MOST_CONTROL = 200

# The longer mark first: that of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 4096
# Encodings of text. Python knows others too: of bytes, of host names, of its own source.
_CHARSET = re.compile(r"(?:iso|cp|koi8|mac|gb|big5|euc|shift|johab|tis|utf-(?:8|16|32))[-_\w]*$")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(content: bytes, charset: str = "") -> str:
    """Return the text of bytes: by byte order mark, as ``charset`` says, else what they look like.

    UTF-8, UTF-16, UTF-32, then Turkish: Windows-1254 is Windows-1252 with six Turkish letters and
    holds ISO-8859-9; what it leaves undefined is Latin-1. No NUL and no surrogate is left.
    """
    text = _decoded(content, charset).replace("\0", "")
    return _SURROGATE.sub("\ufffd", text)


def is_text(content: bytes) -> bool:
    """Whether the beginning of some bytes is text in an encoding that ``decode`` knows."""
    head = content[:_SAMPLE]
    if any(head.startswith(mark) for mark, _ in _MARKS) or _wide_encoding(head):
        return True
    return len(_CONTROL.findall(head)) * _MOST_CONTROL <= len(head)


def _decoded(content: bytes, charset: str) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    for encoding in (_wide_encoding(content[:_SAMPLE]), "utf-8", _known(charset), "cp1254"):
        try:
            if encoding:
                return content.decode(encoding)
        except UnicodeError:
            continue
    return content.decode("latin-1")


def _known(charset: str) -> str | None:
    """Return the name of a text encoding that somebody declared, if there is one of that name."""
    try:
        found = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return None
    # Pages say Latin-1 and mean Windows; a Turkish one that says so means what Turks type.
    return found if found != "iso8859-1" and _CHARSET.match(found) else None


def _wide_encoding(head: bytes) -> str | None:
    """Return the UTF-16 or UTF-32 that bytes without a mark are in: most bytes of Latin text are 0."""
    quarter = len(head) // 4
    zeros = [head[place : 4 * quarter : 4].count(0) > 0.95 * quarter for place in range(4)]
    if quarter and zeros[2] and zeros[3] and not zeros[0]:
        return "utf-32-le"
    if quarter and zeros[0] and zeros[1] and not zeros[3]:
        return "utf-32-be"
    half = len(head) // 2
    for encoding, zeros, letters in (
        ("utf-16-le", head[1::2], head[::2]),
        ("utf-16-be", head[::2], head[1::2]),
    ):
        if half and zeros.count(0) > 0.4 * half and letters.count(0) < 0.05 * half:
            return encoding
    return None

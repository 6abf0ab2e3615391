"""Words as they are compared: folded to plain lower-case letters, for Turkish and English alike."""

from __future__ import annotations

import re
import unicodedata

#: Letters whose lower case or base letter Unicode gives otherwise. Source: Turkish alphabet.
_LETTERS = str.maketrans({"İ": "i", "I": "i", "ı": "i", "’": "'", "‘": "'", "´": "'", "`": "'"})

# A word with an apostrophe inside (don't, İstanbul'da), a number, or a sign that has a meaning.
_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[%$€£₺°+*/<>=]")


def fold(text: str) -> str:
    """Return ``text`` in lower case without marks: İĞDIR, Iğdır and igdir are one."""
    plain = text.translate(_LETTERS)
    if plain.isascii():
        return plain.lower()
    # Twice: what a letter consists of may be upper-case, and lower case may consist of several.
    lower = unicodedata.normalize("NFKD", plain).translate(_LETTERS).lower()
    apart = unicodedata.normalize("NFKD", lower).translate(_LETTERS)
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def folded_words(text: str) -> list[str]:
    """Return the folded words, numbers and signs of a text in order."""
    return _TOKEN.findall(fold(text))

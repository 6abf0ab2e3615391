"""Which language a text is in: function words, letters and endings, no model and no download."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["tr", "en", "other"]

#: Beginning of a text that decides its language: chosen, some 300 words settle it.
LANGUAGE_SAMPLE = 2000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Folded function words: they say nothing about what a text is about, so search skips them.
ENGLISH_STOP_WORDS = _words("""
    a about above after again against all am an and any are as at be because been before being
    below between both but by can could d did didn do does doesn doing don down during each few
    for from further had has have having he her here hers him his how i if in into is isn it its
    itself just ll m me more most my no nor not now of off on once only or other our ours out
    over own re s same she should so some such t than that the their theirs them then there
    these they this those through to too under until up ve very was wasn we were what when where
    which while who whom whose why will with would you your yours
""")
TURKISH_STOP_WORDS = _words("""
    acaba ama ancak artik asla aslinda az bana bazi belki ben benim bir biri birkac biz bizim bu
    buna bunda bundan bunlar bunu bunun cok cunku da daha de degil diger diye dolayi eger en
    gibi gore hakkinda hala hangi hani hem hep hepsi her hic icin ile ise iste kac kadar ki kim
    kime kimi kimin kimse m mi midir misin mu mudur musun nasil ne neden nedir nerede nereden
    nereye nicin niye o olan olarak oldu oldugu oldugunu olmak olup olur ona onda ondan onlar
    onu onun oyle oysa sanki sen senin sey siz sizin su suna sunu tarafindan tum uzere var ve
    veya ya yani yok yoksa
""")
# Of German, French, Spanish, Italian, Dutch, Portuguese and Swedish: enough to say "neither".
_OTHER_WORDS = _words("""
    att au auch auf aux avec che como con dans das del della dem den der des det di du een ein
    eine el em est et fur het il im inte ist la las le les los met mit na nao nicht niet non och
    oder os para pas per por pour que qui sao se sich som sono sur um uma una und une van von
    voor werden zijn zu
""")

_WORD = re.compile(r"[^\W\d_]+")
_TURKISH_LETTERS = re.compile("[ıİğĞşŞ]")
_TURKISH_ENDING = re.compile(
    r".{2}(?:lar|ler|lari|leri|larin|lerin|nin|nun|dir|dur|tir|tur|mak|mek|yor|iyor|uyor|acak|ecek|"
    r"inda|inde|unda|unde|daki|deki|mis|mus|digi|dugu|miz|niz|yla|yle|siniz|yim|lik|luk|dan|den)$"
)
_ENGLISH_ENDING = re.compile(
    r".{2}(?:tion|tions|ing|ed|ly|ment|ness|ers|ght|th|sh|ck|ous|ful|ies)$"
)

# Letters that Unicode does not take apart. Dotted and dotless i become one letter, so that IĞDIR,
# Iğdır and igdir meet; what cannot be seen is dropped.
_SPECIAL = str.maketrans(
    {"ı": "i", "ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o",
     "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "þ": "th", "Þ": "th",
     "’": "'", "‘": "'", "ʼ": "'", "´": "'", "\u00ad": None, "\u200b": None, "\u200c": None,
     "\u200d": None, "\ufeff": None}
)  # fmt: skip
_MARKS = re.compile("[\u0300-\u036f]+")


def fold(text: str) -> str:
    """Return the text in lower case without accents: one spelling for all ways to type a word."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).translate(_SPECIAL)
    return _MARKS.sub("", apart).lower()


def detect_language(text: str) -> Language:
    """Return the language of a text; ``other`` when it is neither, or too short to tell."""
    sample = text[:LANGUAGE_SAMPLE]
    words = _WORD.findall(fold(sample))
    if not words:
        return "other"
    turkish = _evidence(words, TURKISH_STOP_WORDS, _TURKISH_ENDING)
    turkish += 2 * len(_TURKISH_LETTERS.findall(sample)) if not _is_other_script(sample) else 0
    english = _evidence(words, ENGLISH_STOP_WORDS, _ENGLISH_ENDING)
    other = 2 * sum(word in _OTHER_WORDS for word in words)
    best = max(turkish, english)
    # Chosen: a language shows itself in one word of twelve at the least (two points a word).
    if best <= other or best * 6 < len(words) or _is_other_script(sample):
        return "other"
    return "tr" if turkish >= english else "en"


def _evidence(words: list[str], function_words: frozenset[str], ending: re.Pattern[str]) -> int:
    """Count two points for a function word and one for an ending."""
    return sum(
        2 if word in function_words else 1 if len(word) > 4 and ending.match(word) else 0
        for word in words
    )


def _is_other_script(sample: str) -> bool:
    """Whether most letters are outside Latin (its blocks end at U+024F)."""
    letters = [letter for letter in sample if letter.isalpha()]
    return 2 * sum(letter > "\u024f" for letter in letters) > len(letters)

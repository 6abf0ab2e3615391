"""What a request looks like to the classifier of complexity: a few numbers, in microseconds.

Words are compared by their first six letters, so that inflected Turkish and English forms meet
(*karşılaştır* / *karşılaştırınız*, *compare* / *comparing*), and both languages feed the same numbers: a
weight that was learnt on English holds for Turkish.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from santral.wire.chat import ChatCall

#: Characters looked at, half from each end. Chosen: what is asked stands at an end, and the cost of
#: a long prompt stays that of 4 kB.
MAX_CHARACTERS = 4000

#: Length to which words are cut before they are compared.
PREFIX = 6


def _prefixes(words: str) -> frozenset[str]:
    return frozenset(word[:PREFIX] for word in words.split())


#: Asking for thought: proof, comparison, design, analysis.
_REASONING = _prefixes(
    "analyze analyse compare contrast evaluate assess critique prove proof derive deduce design "
    "architect optimize optimise debug refactor justify argue tradeoff trade-offs strategy "
    "implications hypothesis explain why reason synthesize investigate diagnose plan review "
    "analiz karşılaştır değerlendir eleştir kanıtla ispatla ispat türet tasarla mimari optimize "
    "eniyile gerekçe tartış strateji hipotez açıkla neden incele teşhis planla ödünleşim gözden"
)
#: Asking for work in several steps.
_STEPS = _prefixes(
    "step steps first second third then finally next stage phase pipeline workflow before after "
    "adım adımda önce sonra ardından birinci ikinci üçüncü nihayet aşama aşamada sırayla"
)
#: Binding the answer.
_CONSTRAINTS = _prefixes(
    "must should only exactly without least most unless avoid ensure include exclude limit format "
    "require constraint respond reply never always between maximum minimum "
    "sadece yalnızca tam olarak kullanmadan en fazla az kaçın dahil hariç biçim zorunda gerekir "
    "asla daima arasında azami asgari mutlaka şart"
)
_CODE = _prefixes(
    "code function class implement algorithm python javascript typescript java rust golang sql "
    "query api bug exception compile database schema regex script program kubernetes docker "
    "thread async deadlock endpoint refactor unit "
    "kod kodu fonksiyon sınıf algoritma sorgu betik yazılım veritabanı derle program iş"
) - {"iş"}
_MATHS = _prefixes(
    "integral derivative equation matrix probability theorem calculate compute solve polynomial "
    "vector variance regression limit converge eigenvalue modulo "
    "integral türev denklem matris olasılık teorem hesapla çöz polinom vektör varyans regresyon"
)
#: Asking for a longer text.
_WRITING = _prefixes(
    "write essay report article story proposal draft compose create generate develop outline "
    "summarize paragraph detailed comprehensive "
    "yaz makale rapor hikaye öneri taslak oluştur üret geliştir özetle paragraf ayrıntılı kapsamlı"
)
#: Looking one thing up, or small talk.
_LOOKUP = _prefixes(
    "who when where hi hello hey thanks thank please weather time timer alarm remind balance play "
    "translate spell define capital "
    "kim nerede hangi kaç selam merhaba teşekkür lütfen hava saat alarm hatırlat bakiye çevir "
    "nedir başkenti tanımı"
)
_WORD_SETS = (_REASONING, _STEPS, _CONSTRAINTS, _CODE, _MATHS, _WRITING, _LOOKUP)
_MEANT = {
    word: tuple(place for place, words in enumerate(_WORD_SETS) if word in words)
    for word in frozenset[str]().union(*_WORD_SETS)
}
_TURKISH = frozenset("çğışöüÇĞİŞÖÜ")

#: The features in their order. A model names the ones it was trained on.
NAMES = (
    "length",
    "words_per_sentence",
    "lines",
    "questions",
    "reasoning_words",
    "step_words",
    "constraint_words",
    "code_words",
    "maths_words",
    "writing_words",
    "lookup_words",
    "code_signs",
    "maths_signs",
    "numbers",
    "lists",
    "instructions",
    "depth",
    "tools",
    "json_schema",
    "attachments",
    "turkish",
)

#: Bytes are translated five times as fast as text is searched for words. Measured.
_SIGNS = bytes.maketrans(b'.,;:!?()[]{}"`*/\\<>=+|#&', b" " * 24)
_DIGITS = b"0123456789"


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a request beside the text of its last question."""

    instructions: int = 0  # characters of system and developer messages
    depth: int = 0  # earlier user messages
    tools: int = 0
    has_schema: bool = False
    attachments: int = 0
    effort: str = ""


PLAIN = Shape()


def features(text: str, shape: Shape = PLAIN) -> tuple[float, ...]:
    """Return the numbers of ``NAMES`` for a question. 1 kB takes some 20 us."""
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        text = f"{text[:half]}\n{text[-half:]}"
    data = text.lower().encode("utf-8", "replace")
    words = data.translate(_SIGNS).decode().split()
    cut = {word[:PREFIX] for word in set(words)}
    sentences = text.count(". ") + text.count("?") + text.count("\n") + 1
    return (
        math.log1p(len(text)),
        min(len(words) / sentences, 60.0),
        math.log1p(text.count("\n")),
        min(text.count("?"), 6.0),
        *_counted(cut),
        _code_signs(text),
        math.log1p(sum(map(text.count, "+=^∑∫√≤≥%"))),
        math.log1p(len(data) - len(data.translate(None, _DIGITS))),
        min(text.count("\n- ") + text.count("\n* ") + text.count("\n1") + text.count("\n2"), 8.0),
        math.log1p(shape.instructions),
        min(shape.depth, 10.0),
        min(shape.tools, 10.0),
        float(shape.has_schema),
        min(shape.attachments, 4.0),
        float(not text.isascii() and not _TURKISH.isdisjoint(text)),
    )


def _counted(cut: set[str]) -> list[float]:
    """Return how many words of each set there are, six at most."""
    counts = [0.0] * len(_WORD_SETS)
    for word in _MEANT.keys() & cut:
        for place in _MEANT[word]:
            if counts[place] < 6.0:
                counts[place] += 1.0
    return counts


def _code_signs(text: str) -> float:
    signs = text.count("{") + text.count(";\n") + text.count("()") + text.count("=>")
    return min(3.0 * text.count("```") + math.log1p(signs), 8.0)


def shape_of(call: ChatCall) -> tuple[str, Shape]:
    """Return the text of the last question of a call, and what else tells how hard it is."""
    question, instructions, depth, attachments = "", 0, 0, 0
    for message in call.view.messages:
        if message.role == "user":
            question = message.text
            depth += 1
        elif message.role in ("system", "developer"):
            instructions += len(message.text)
        if isinstance(message.content, list):
            attachments += sum(part.type in _ATTACHED for part in message.content)
    asked = call.view.response_format
    return question, Shape(
        instructions=instructions,
        depth=max(depth - 1, 0),
        tools=_count_tools(call.fields),
        has_schema=asked is not None and asked.type == "json_schema",
        attachments=attachments,
        effort=effort_of(call),
    )


_ATTACHED = frozenset({"image_url", "input_audio", "file"})
_tools = msgspec.json.Decoder(list[msgspec.Raw])


def _count_tools(fields: Mapping[str, msgspec.Raw]) -> int:
    raw = fields.get("tools")
    if raw is None:
        return 0
    try:
        return len(_tools.decode(raw))
    except msgspec.MsgspecError:
        return 0


def effort_of(call: ChatCall) -> str:
    """Return how hard the caller wants the model to think: ``reasoning_effort``, or empty."""
    raw = call.fields.get("reasoning_effort")
    if raw is None:
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.MsgspecError:
        return ""

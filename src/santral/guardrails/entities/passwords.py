"""Values that stand beside a word for password or secret, and credentials inside a URL."""

from __future__ import annotations

import re
from typing import Final

from santral.guardrails.entities.entity import Entity
from santral.guardrails.entities.keys import JUDGED_BYTES, KEY_BYTES, TAILS
from santral.guardrails.patterns import any_of, compiled

_PASSWORD_WORDS: Final = (
    r"pass(?:word|wd|phrase|code)?",
    r"pwd",
    r"sifre(?:m|si|niz|miz|leri)?",
    r"parola(?:m|si|niz|miz)?",
)
_SECRET_WORDS: Final = (
    r"api[ _\-]?key",
    r"(?:secret|access|private|account|auth)[ _\-]?(?:access[ _\-]?)?key",
    r"(?:client|app)[ _\-]?secret",
    r"secret",
    r"(?:access|auth|refresh|api)?[ _\-]?token",
    r"(?:gizli|api)[ _\-]?anahtar(?:i|im)?",
)
_GAP: Final = r"[\"']?[ \t]{0,3}(?:[:=]{1,2}>?[ \t]{0,3}|[ \t](?:is|was)[ \t]{1,3})"
_NAMED: Final = rf"(?i)(?:({any_of(_PASSWORD_WORDS)})|{any_of(_SECRET_WORDS)}){_GAP}"
_VALUE: Final = r"[^\s\"'<>,;&`{}]"
_HELD: Final = (
    rf"(?i){any_of((*_PASSWORD_WORDS, *_SECRET_WORDS))}[\"']?[ \t]{{0,3}}"
    rf"(?:[:=]{{1,2}}>?|[ \t](?:is|was))?[ \t]{{0,3}}(?:\"[^\"\n]{{0,128}}|'[^'\n]{{0,128}}|{_VALUE}*)\z",
    r"(?i)(?:api|secret|access|private|account|auth|client|app|refresh|gizli)[ _\-]?(?:access[ _\-]?)?\z",
)
#: What stands for a value without being one.
_NOT_A_VALUE: Final = re.compile(
    rb"(?i)[$%<\[*.]|(?:env|file|your|my|the|os|self|config|settings|process|none|null|true|false|string"
    rb"|str|required|optional|undefined|changeme|example|redacted|xxx|zorunlu)(?![0-9])"
)
_UNLIKELY_IN_PROSE: Final = re.compile(rb"[0-9!@#$%^*+~]")
_CALL: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]*\(")
_PLACEHOLDER: Final = re.compile(rb"\[[A-Z_]{2,12}_[0-9]+\]")
_LONGEST_QUOTED: Final = 128  # chosen; longer quotations are prose


class NamedSecrets:
    """Finds ``password: hunter2``, ``"api_key": "..."``, ``şifre = ...``: the value, not the word."""

    kinds = ("PASSWORD", "SECRET")
    gates = (_NAMED,)
    held = _HELD
    _named = compiled(_NAMED)

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        for match in self._named.finditer(data, pos):
            kind = "PASSWORD" if match.group(1) else "SECRET"
            if found := _read(data, match.start(), match.end(), kind):
                return found
        return None


def _read(data: bytes, anchor: int, start: int, kind: str) -> Entity | None:
    quote = data[start : start + 1]
    if quote in (b'"', b"'"):
        start += 1
        end = data.find(quote, start, start + _LONGEST_QUOTED + 1)
        if end > 0 and b"\n" not in data[start:end]:
            if end - start < 4 or _NOT_A_VALUE.match(data, start):
                return None
            return Entity(kind, start, end, data[start:end].decode(), anchor)
    return _read_bare(data, anchor, start, kind)


def _read_bare(data: bytes, anchor: int, start: int, kind: str) -> Entity | None:
    match = TAILS["value"].match(data, start)
    end = match.end() if match else start
    if placeholder := _PLACEHOLDER.search(data, start, end):
        end = placeholder.start()
    judged = data[start : min(end, start + JUDGED_BYTES)]
    least = 4 if kind == "PASSWORD" else 8
    if len(judged) < least or _NOT_A_VALUE.match(judged):
        return None
    if _CALL.match(judged) or not _UNLIKELY_IN_PROSE.search(judged):
        return None
    key = data[start : min(end, start + KEY_BYTES)].decode()
    return Entity(kind, start, end, key, anchor, "value")


class UrlPasswords:
    """Finds the password of ``scheme://user:password@host``."""

    kinds = ("PASSWORD",)
    gates = (r"://[^\s:/@\"'<>]{0,64}:[^\s/@\"'<>\[]{3,128}@",)
    held = (r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s/@\"'<>]{0,200}\z",)
    _url = compiled(r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@\"'<>]{0,64}:([^\s/@\"'<>\[]{3,128})@")

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        match = self._url.search(data, pos)
        if match is None:
            return None
        start, end = match.span(1)
        return Entity("PASSWORD", start, end, data[start:end].decode(), match.start())

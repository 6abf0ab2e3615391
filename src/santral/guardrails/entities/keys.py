"""Secrets: keys of common vendors, tokens, private keys, and values named as a password."""

from __future__ import annotations

import re
from typing import Any, Final

from santral.guardrails.entities.entity import Entity
from santral.guardrails.patterns import any_of, compiled

#: Own rules in the style of the public lists; each prefix is the vendor's documented one. The shortest
#: form is enough: the rest of the value is taken with it.
_VENDORS: Final = (
    r"sk-[A-Za-z0-9_\-]{20}",  # OpenAI, Anthropic, DeepSeek, OpenRouter, LiteLLM, Santral
    r"gsk_[A-Za-z0-9]{20}",  # Groq
    r"xai-[A-Za-z0-9]{20}",
    r"pplx-[A-Za-z0-9]{20}",
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",  # AWS
    r"gh[opsur]_[A-Za-z0-9]{30}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22}",
    r"glpat-[A-Za-z0-9_\-]{20}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9\-]{10}",  # Slack
    r"AIza[A-Za-z0-9_\-]{35}",  # Google
    r"GOCSPX-[A-Za-z0-9_\-]{20}",
    r"ya29\.[A-Za-z0-9_\-]{20}",
    r"hf_[A-Za-z0-9]{30}",  # Hugging Face
    r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16}",  # Stripe
    r"whsec_[A-Za-z0-9]{24}",
    r"SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16}",  # SendGrid
    r"npm_[A-Za-z0-9]{30}",
    r"pypi-AgEI[A-Za-z0-9_\-]{20}",
    r"r8_[A-Za-z0-9]{30}",  # Replicate
    r"dop_v1_[0-9a-f]{40}",  # DigitalOcean
    r"dapi[0-9a-f]{32}",  # Databricks
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    r"[0-9]{8,10}:AA[A-Za-z0-9_\-]{32}",  # Telegram
)
_BEARER = r"(?i:bearer)[ \t]{1,3}([A-Za-z0-9_.=+/~\-]{16})"
_JWT = r"eyJ[A-Za-z0-9_\-]{8,300}\.[A-Za-z0-9_\-]{8}"
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\"+]|\\[nr]){0,12}(?:[A-Za-z0-9+/=]{16}|Proc-Type|Version|Comment)"
)
_KEY_END: Final = re.compile(rb"-----END [A-Z0-9 ]{0,40}-----")

#: Bytes over which a value goes on, by the name that an ``Entity.tail`` gives.
TAILS: Final = {
    "key": re.compile(rb"[A-Za-z0-9_\-]*"),
    "jwt": re.compile(rb"[A-Za-z0-9_.\-]*"),
    "token": re.compile(rb"[A-Za-z0-9_.=+/~\-]*"),
    "value": re.compile(rb"[^\s\"'<>,;&`{}]*"),
}
#: Bytes of a value that are looked at to judge it, and that tell it from others. Chosen.
JUDGED_BYTES: Final = 64
KEY_BYTES: Final = 256
_STRONG: Final = re.compile(rb"[0-9A-Z]")


class Prefixed:
    """Finds values whose own beginning says what they are; they go on over the bytes of ``tail``.

    Where the pattern has a group, the value is the group and what stands before it is evidence.
    """

    def __init__(self, kind: str, pattern: str, tail: str, held: tuple[str, ...] = ()) -> None:
        self.kinds = (kind,)
        self.gates = (pattern,)
        self.held = held
        self._tail = tail
        self._here = compiled(pattern)
        self._after_boundary = compiled(rf"\b(?:{pattern})")

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        if pos == floor and (match := self._here.match(data, pos)) and (found := self._read(match)):
            return found
        position = pos
        while match := self._after_boundary.search(data, position):
            if found := self._read(match):
                return found
            position = match.start() + 1
        return None

    def _read(self, match: Any) -> Entity | None:
        data: bytes = match.string
        start: int = match.start(match.re.groups)
        tail = TAILS[self._tail]
        judged = max(tail.match(data, start, start + JUDGED_BYTES).end(), match.end())  # pyright: ignore[reportOptionalMemberAccess]
        if _STRONG.search(data, start + 3, min(judged, start + JUDGED_BYTES)) is None:
            return None  # sk-learn-tutorial-for-beginners is not a key
        end = max(tail.match(data, start).end(), match.end())  # pyright: ignore[reportOptionalMemberAccess]
        key = data[start : min(end, start + KEY_BYTES)].decode()
        return Entity(self.kinds[0], start, end, key, match.start(), self._tail)


class PrivateKeys:
    """Finds private key blocks; one that does not end takes the rest of the text with it."""

    kinds = ("PRIVATE_KEY",)
    gates = (_PRIVATE_KEY,)
    held = (r"-----BEGIN [\s -~]{0,130}\z",)

    def find(self, data: bytes, pos: int, floor: int) -> Entity | None:
        match = _PRIVATE_KEY_START.search(data, pos)
        if match is None:
            return None
        start: int = match.start()
        closing = _KEY_END.search(data, match.end())
        end = closing.end() if closing else len(data)
        key = data[start : min(end, start + KEY_BYTES)].decode()
        return Entity("PRIVATE_KEY", start, end, key, start, "" if closing else "pem")


_PRIVATE_KEY_START: Final = compiled(_PRIVATE_KEY)


def end_of_tail(tail: str, data: bytes) -> int | None:
    """Return where a value that began before ``data`` ends in it; None where it goes on."""
    if tail == "pem":
        closing = _KEY_END.search(data)
        return closing.end() if closing else None
    match = TAILS[tail].match(data)
    end = match.end() if match else 0
    return None if end == len(data) else end


def key_detectors() -> list[Prefixed | PrivateKeys]:
    """Return the detectors of secrets that are known by their form."""
    return [
        PrivateKeys(),
        Prefixed("JWT", _JWT, "jwt"),
        Prefixed("API_KEY", any_of(_VENDORS), "key"),
        Prefixed("TOKEN", _BEARER, "token", (r"(?i:bearer)[ \t]{0,3}[A-Za-z0-9_.=+/~\-]*\z",)),
    ]

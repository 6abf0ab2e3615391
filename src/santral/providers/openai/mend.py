"""Mending a chunk's JSON: what is wrong is changed, fields that we do not know stay."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from santral.providers.openai.answer import WireAnswer

_fields = msgspec.json.Decoder(dict[str, Raw])
_generic = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.encode


def on_one_line(raw: bytes) -> bytes:
    """Return JSON without line feeds, so that it fits one data line; broken JSON as it is."""
    try:
        return msgspec.json.format(raw, indent=-1)
    except msgspec.DecodeError:
        return raw  # decoding says what is wrong with it


class Head(NamedTuple):
    """What every chunk of a stream says alike: that of the first chunk with choices."""

    id: str
    model: str
    created: int


def head_of(answer: WireAnswer) -> Head:
    """Return what the first chunk says; an id is made where it has none."""
    name = str(answer.id) if answer.id else f"chatcmpl-{secrets.token_hex(12)}"
    return Head(name, answer.model or "", int(answer.created or 0))


class Mend:
    """What has to change in a chunk's JSON."""

    __slots__ = ("fields", "is_composed", "roles")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.roles: dict[int, bool] = {}  # choice index -> whether its role is missing or too much
        self.is_composed = False

    @property
    def is_needed(self) -> bool:
        return self.is_composed or bool(self.fields or self.roles)

    def apply(self, raw: bytes) -> bytes:
        """Return the mended JSON, or nothing where the delta has to be composed anew."""
        if self.is_composed:
            return b""
        body: dict[str, Any] = {**_fields.decode(raw), **self.fields}
        if self.roles:
            body["choices"] = [
                self._with_role(choice) for choice in _generic.decode(raw)["choices"]
            ]
        return _encode(body)

    def _with_role(self, choice: dict[str, Any]) -> dict[str, Any]:
        is_missing = self.roles.get(choice.get("index") or 0)
        if is_missing is None:
            return choice
        delta: dict[str, Any] = {**(choice.get("delta") or {})}
        delta.pop("role", None)
        return {**choice, "delta": {"role": "assistant", **delta} if is_missing else delta}

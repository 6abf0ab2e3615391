"""Placeholders for values: stable within one request, the same value gets the same number."""

from __future__ import annotations

from collections.abc import Sequence

from santral.guardrails.entities.entity import Entity
from santral.guardrails.normalise import View


class Placeholders:
    """Hands out ``[EMAIL_1]``; one per request, shared by its texts, answers and retries."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] = {}

    def name(self, kind: str, key: str) -> str:
        """Return the placeholder of a value."""
        number = self._numbers.get((kind, key))
        if number is None:
            number = self._last[kind] = self._last.get(kind, 0) + 1
            self._numbers[kind, key] = number
        return f"[{kind}_{number}]"


def mask(text: str, view: View, entities: Sequence[Entity], placeholders: Placeholders) -> str:
    """Return ``text`` with each entity of its view replaced by its placeholder."""
    pieces: list[str] = []
    done = 0
    for entity in entities:
        start, end = view.span(entity.start, entity.end)
        pieces.append(text[done:start])
        pieces.append(placeholders.name(entity.kind, entity.key))
        done = end
    pieces.append(text[done:])
    return "".join(pieces)

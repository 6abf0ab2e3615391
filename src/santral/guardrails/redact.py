"""Masks every kind of entity that is known, whatever a route's policy wants: for what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, cast

from santral.guardrails.check import Eye, Inspection
from santral.guardrails.checks import pii, secrets
from santral.guardrails.entities.entity import MAX_ENTITY
from santral.guardrails.entities.mask import Placeholders


def redacted_texts(texts: Sequence[str], placeholders: Placeholders) -> tuple[str, ...]:
    """Return texts with every e-mail address, telephone number, card, id, IBAN and secret masked.

    Give the same ``placeholders`` to every call for one request, so that a value keeps its number.
    """
    looked = Inspection(_eye(), texts, "kept")
    return looked.masked(_eye().kinds, placeholders) if looked.has_entities else tuple(texts)


def kinds_found(texts: Sequence[str]) -> dict[str, int]:
    """Return how often each kind stands in texts that ``redacted_texts`` would mask."""
    looked = Inspection(_eye(), texts, "kept")
    kinds = [entity.kind for found in looked.entities for entity in found if not looked.is_clean]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds) if kind in _eye().kinds}


def redacted_json(value: Any, placeholders: Placeholders, most: int | None = None) -> Any:
    """Return a decoded JSON value with its strings masked, names of fields too, and files left out.

    Beyond ``most`` characters strings are cut off unread: what is cut anyway is not looked at.
    """
    texts: list[str] = []
    left = most
    for text in _strings(value):
        if left is not None:
            text = text[
                : max(0, left + MAX_ENTITY)
            ]  # an entity that begins before the end is whole
            left -= len(text)
        texts.append(_without_file(text))
    masked = iter(redacted_texts(texts, placeholders))
    return _rebuilt(value, masked)


@cache
def _eye() -> Eye:
    # Made when first needed: its patterns take some milliseconds to compile.
    return Eye([pii.Pii(pii.Params()), secrets.Secrets(secrets.Params())])


def _without_file(text: str) -> str:
    """Return a text, or what stands for a file in an address: its bytes cannot be masked."""
    return f"[file of {len(text)} characters]" if text.startswith("data:") else text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield name
            yield from _strings(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _strings(item)


def _rebuilt(value: Any, texts: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, dict):
        return {
            next(texts): _rebuilt(item, texts) for item in cast("dict[str, Any]", value).values()
        }
    if isinstance(value, list):
        return [_rebuilt(item, texts) for item in cast("list[Any]", value)]
    return value

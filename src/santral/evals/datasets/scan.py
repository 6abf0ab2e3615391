"""What of people stands in examples: the entities that guardrails know, counted and masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec
from msgspec import Struct

from santral.evals.example import Example
from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.redact import kinds_found, redacted_json

#: Places that a report names. Chosen: a person reads no more.
_MOST_PLACES = 200


class Held(Struct, frozen=True):
    """A field of an example that holds entities."""

    example: str
    field: str
    kinds: dict[str, int]


class Scan(Struct, frozen=True):
    """What was found: how many examples hold each kind, and where; the values stay where they are."""

    examples: int
    kinds: dict[str, int]  # to the number of examples that hold it
    places: list[Held]
    more: int  # places that are not listed


def scan_examples(examples: Iterable[Example]) -> Scan:
    """Return what e-mail addresses, telephone numbers, cards, ids, IBANs and secrets examples hold."""
    looked = 0
    kinds: Counter[str] = Counter()
    places: list[Held] = []
    more = 0
    for example in examples:
        looked += 1
        held = list(_held(example))
        kinds.update({kind for one in held for kind in one.kinds})
        room = _MOST_PLACES - len(places)
        places += held[:room]
        more += len(held[room:])
    return Scan(looked, dict(sorted(kinds.items())), places, more)


def masked_example(example: Example) -> Example:
    """Return an example with every entity replaced by a placeholder; one value has one number in it.

    Its id, cluster and split stay.
    """
    known = msgspec.to_builtins(example)
    names = {"id", "cluster", "split"}
    said = {name: value for name, value in known.items() if name not in names}
    placeholders = Placeholders()
    masked = {name: redacted_json(value, placeholders) for name, value in said.items()}
    kept = {name: known[name] for name in names & known.keys()}
    return msgspec.convert({**masked, **kept}, Example)


def _held(example: Example) -> Iterator[Held]:
    for name, value in msgspec.to_builtins(example).items():
        if name in {"id", "cluster", "split"}:
            continue
        texts = list(texts_in(value))
        found = kinds_found(texts) if texts else {}
        if found:
            yield Held(example.id, name, found)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a decoded JSON value, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield name
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from texts_in(item)

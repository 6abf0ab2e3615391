"""Which settings name sealed secrets, and where a worker finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from santral.config.schema import Config
from santral.config.secret import SecretRef
from santral.config.section import Section


def sealed_file(config: Config) -> Path:
    """Return where the parent writes sealed secrets and workers read them."""
    return config.data.folder / "run" / "secrets.msgpack"


def sealed_references(section: Section) -> dict[str, list[str]]:
    """Return the names of the sealed secrets that a section names, each with the places."""
    found: dict[str, list[str]] = {}
    for place, reference in _references(section, ""):
        if reference.is_sealed:
            found.setdefault(reference.sealed_name, []).append(place)
    return found


def sealed_values(section: Section) -> tuple[str, ...]:
    """Return the secrets that a section names and that are sealed: equal while none was changed.

    Raises:
        ConfigError: there is no such sealed secret.
    """
    return tuple(ref.reveal() for _, ref in _references(section, "") if ref.is_sealed)


def _references(value: Any, place: str) -> Iterator[tuple[str, SecretRef]]:
    if isinstance(value, SecretRef):
        yield place, value
        return
    if isinstance(value, BaseModel):
        inner: Iterator[tuple[str, Any]] = iter(value)
    elif isinstance(value, Mapping):
        inner = iter(cast("Mapping[str, Any]", value).items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        inner = ((str(i), v) for i, v in enumerate(cast("Sequence[Any]", value)))
    else:
        return
    for name, part in inner:
        yield from _references(part, f"{place}.{name}" if place else name)

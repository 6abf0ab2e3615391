"""Settings in force, each with where its value came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from santral.config.load import LoadedConfig
from santral.config.secret import SecretRef


class Setting(NamedTuple):
    """One setting in force."""

    name: str
    value: str
    origin: str


def settings(loaded: LoadedConfig) -> list[Setting]:
    """Return every setting in force; secrets appear as their reference only."""
    return [
        Setting(name, _text(value), _origin(loaded, name)) for name, value in _leaves(loaded.config)
    ]


def _origin(loaded: LoadedConfig, name: str) -> str:
    """A value inside a list or inline table came from wherever the whole did."""
    while name:
        if name in loaded.origins:
            return loaded.origins[name]
        name = name.rpartition(".")[0]
    return "default"


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        fields: dict[str, Any] = dict(value)
        for key, inner in fields.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, dict) and value:
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _leaves(inner, f"{prefix}.{key}")
    elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
        for position, inner in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _leaves(inner, f"{prefix}.{position}")
    else:
        yield prefix, value


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, (str, Path, SecretRef)) else repr(value)

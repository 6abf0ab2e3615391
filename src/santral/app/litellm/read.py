"""LiteLLM's ``config.yaml`` as it is written: what we look at, everything else kept to be named.

Source: https://docs.litellm.ai/docs/proxy/config_settings
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from msgspec import Struct, field

from santral.errors import ConfigError

Settings = dict[str, Any]


class ModelEntry(Struct, frozen=True, kw_only=True):
    """One entry of ``model_list``."""

    number: int
    group: str  # model_name: what callers ask for
    params: Settings
    info: Settings


class LiteLLM(Struct, frozen=True, kw_only=True):
    """A configuration, its sections apart."""

    models: list[ModelEntry]
    litellm: Settings = field(default_factory=dict[str, Any])
    router: Settings = field(default_factory=dict[str, Any])
    general: Settings = field(default_factory=dict[str, Any])
    others: Settings = field(default_factory=dict[str, Any])


def read_litellm(path: Path) -> LiteLLM:
    """Read a configuration of LiteLLM's proxy.

    Raises:
        ConfigError: no file, not YAML, or no list of models; names file and place.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: this is no configuration of LiteLLM: it has no settings.")
    settings = cast("Settings", content)
    found: object = settings.get("model_list") or []
    if not isinstance(found, list):
        raise ConfigError(f"{path}: model_list must be a list.")
    entries = cast("list[object]", found)
    models = [_model(path, number, entry) for number, entry in enumerate(entries)]
    known = ("model_list", "litellm_settings", "router_settings", "general_settings")
    return LiteLLM(
        models=models,
        litellm=_section(path, settings, "litellm_settings"),
        router=_section(path, settings, "router_settings"),
        general=_section(path, settings, "general_settings"),
        others={name: value for name, value in settings.items() if name not in known},
    )


def table(value: object) -> Settings:
    """Return a table, or an empty one for anything else."""
    return cast("Settings", value) if isinstance(value, dict) else {}


def pairs(value: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield what a list of fallbacks says: ``[{"a": ["b", "c"]}]``."""
    for entry in cast("list[Any]", value) if isinstance(value, list) else ():
        if isinstance(entry, dict):
            for name, targets in cast("Mapping[str, Any]", entry).items():
                if isinstance(targets, list):
                    yield name, [str(t) for t in cast("list[Any]", targets) if isinstance(t, str)]


def _model(path: Path, number: int, entry: object) -> ModelEntry:
    place = f"{path}: model_list.{number}"
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: must have model_name and litellm_params.")
    fields = cast("Settings", entry)
    values = table(fields.get("litellm_params"))
    if not values or not isinstance(fields.get("model_name"), str):
        raise ConfigError(f"{place}: must have model_name and litellm_params.")
    if not isinstance(values.get("model"), str):
        raise ConfigError(f"{place}: litellm_params.model is missing.")
    return ModelEntry(
        number=number,
        group=fields["model_name"],
        params=values,
        info=table(fields.get("model_info")),
    )


def _section(path: Path, settings: Settings, name: str) -> Settings:
    value: object = settings.get(name) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {name} must hold settings.")
    return cast("Settings", value)

"""Reads santral.toml and ``SANTRAL_*`` into one checked ``Config``, whole or not at all."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from santral.config.locate import locate
from santral.config.references import check_references
from santral.config.routes import ComplexityConfig
from santral.config.schema import Config
from santral.errors import ConfigError, nearest

FILE_NAME = "santral.toml"
PREFIX = "SANTRAL_"

#: Variables with this prefix that are no settings.
RESERVED = frozenset(
    {"SANTRAL_CONFIG", "SANTRAL_ADMIN_KEY", "SANTRAL_BOOTSTRAP_KEY", "SANTRAL_KEY"}
)

#: What every configuration has without being told: the embedded answerer.
BUILT_IN: dict[str, dict[str, Any]] = {
    "providers": {"local": {"kind": "local"}},
    "deployments": {"extractive": {"provider": "local", "model": "extractive", "region": "local"}},
}


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration in force: the settings, their file, and where each was set."""

    config: Config
    path: Path | None
    origins: Mapping[str, str]
    digest: str

    def origin(self, setting: str) -> str:
        """Where ``section.setting`` was set: ``file:line``, a variable, or ``default``."""
        return self.origins.get(setting, "default")


def find_file(explicit: Path | None, env: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one named, ``SANTRAL_CONFIG``, or ./santral.toml if it exists.

    Raises:
        ConfigError: a file was named and is not there.
    """
    named = explicit or (Path(env["SANTRAL_CONFIG"]) if env.get("SANTRAL_CONFIG") else None)
    if named is None:
        here = Path.cwd() / FILE_NAME
        return here if here.is_file() else None
    if not named.is_file():
        raise ConfigError(f"{named}: there is no such file. Name one with --config.")
    return named


def load(path: Path | None, env: Mapping[str, str]) -> LoadedConfig:
    """Read and check the configuration.

    Raises:
        ConfigError: the file cannot be read, a setting is unknown or wrong, or a name refers to
            nothing; the message names file, line and the nearest known name.
    """
    file = find_file(path, env)
    text = _read(file) if file else ""
    declared = _parse(text, file)
    origins = {
        ".".join(place): f"{file.name}:{locate(text, place) or 1}" if file else "default"
        for place, _ in _leaves(declared)
    }
    for place, value, name in _from_environment(env):
        _put(declared, place, value)
        origins[".".join(place)] = name
    for section, entries in BUILT_IN.items():
        declared[section] = {**entries, **_table(declared.get(section, {}))}
    config = _validate(declared, text, file, origins)
    check_references(config, lambda place: _place(place, text, file, origins))
    return LoadedConfig(
        config=_resolve_paths(config, (file.parent if file else Path.cwd()).resolve()),
        path=file.resolve() if file else None,
        origins=origins,
        digest=hashlib.blake2b(repr(config).encode(), digest_size=8).hexdigest(),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None


def _parse(text: str, file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


def _table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _leaves(
    tree: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        place = (*prefix, key)
        if isinstance(value, dict):
            yield from _leaves(cast("dict[str, Any]", value), place)
        else:
            yield place, value


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Yield place, value and variable for ``SANTRAL_SECTION__SETTING``."""
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in RESERVED:
            continue
        place = tuple(name[len(PREFIX) :].lower().split("__"))
        if place[0] not in Config.model_fields:
            known = [f"{PREFIX}{section.upper()}__…" for section in Config.model_fields]
            raise ConfigError(f"{name}: unknown setting.{nearest(name, [*known, *RESERVED])}")
        yield place, _value(env[name]), name


def _value(text: str) -> Any:
    """Read a variable as TOML where it is (numbers, booleans, lists), else as plain text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for part in place[:-1]:
        tree = tree.setdefault(part, {})
    tree[place[-1]] = value


def _validate(
    declared: dict[str, Any], text: str, file: Path | None, origins: Mapping[str, str]
) -> Config:
    try:
        return Config.model_validate(declared)
    except ValidationError as error:
        # Only places and reasons: an error's input could be a secret written in clear.
        problems = [
            f"{_place(_named(item['loc']), text, file, origins)}: {_reason(item)}"
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    raise ConfigError("\n".join(problems))


def _named(location: tuple[int | str, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in location if part != "[key]")


def _place(place: tuple[str, ...], text: str, file: Path | None, origins: Mapping[str, str]) -> str:
    """Say where a setting stands: ``santral.toml:12: routes.support.ladder``."""
    dotted = ".".join(place)
    origin = origins.get(dotted, "")
    if origin.startswith(PREFIX):
        return origin
    line = locate(text, place) if file else None
    return f"{file}:{line}: {dotted}" if line else f"{file or FILE_NAME}: {dotted}"


def _reason(item: Any) -> str:
    location = _named(item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown setting.{nearest(location[-1], known_settings(location[:-1]))}"
    if item["type"] == "missing":
        return "this setting is required."
    return str(item["msg"]).removeprefix("Value error, ") + "."


def known_settings(place: tuple[str, ...]) -> list[str]:
    """Return the names that may stand at ``place`` of a configuration."""
    model: type[BaseModel] | None = Config
    for part in place:
        if model is None:
            return []
        if part.isdigit():
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else model
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the section class inside ``dict[Name, Section]``, ``list[Section]`` or ``Section | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found:
            return found
    return None


def _resolve_paths(config: Config, folder: Path) -> Config:
    """Make every path absolute, relative ones from the folder of the file."""
    routes = {
        name: route.model_copy(
            update={
                "output_schema": folder / route.output_schema if route.output_schema else None,
                "complexity": _absolute(route.complexity, folder),
            }
        )
        for name, route in config.routes.items()
    }
    prices = config.prices.file
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"folder": folder / config.data.folder}),
            "prompts": config.prompts.model_copy(update={"folder": folder / config.prompts.folder}),
            "evals": config.evals.model_copy(update={"folder": folder / config.evals.folder}),
            "prices": config.prices.model_copy(
                update={"file": folder / prices if prices else None}
            ),
            "routes": routes,
        }
    )


def _absolute(complexity: ComplexityConfig | None, folder: Path) -> ComplexityConfig | None:
    if complexity is None or complexity.model is None:
        return complexity
    return complexity.model_copy(update={"model": folder / complexity.model})

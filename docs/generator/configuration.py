"""docs/reference/configuration.md from the classes of config/schema.py."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from generator.markdown import code, page, prose, table, words
from santral.config.load import BUILT_IN, RESERVED
from santral.config.schema import RELOADABLE, Config
from santral.config.secret import SecretRef

INTRO = """\
Santral reads one file, `santral.toml`, and environment variables that begin with `SANTRAL_`. The
file is the one named with `--config`, else the one in the variable `SANTRAL_CONFIG`, else
`./santral.toml`; without a file every setting has its default. A variable overrides the file:
`SANTRAL_SERVER__PORT=9000` sets `port` in `[server]` (two underscores between the parts, the name
in lower case).

An unknown setting stops the start, and the message names the file, the line and the nearest known
setting. `santral config check` checks a file, `santral config show` prints every setting in force
and where its value came from, and `santral config schema` prints the JSON Schema of the file.

A secret is always given by reference, `env:NAME` or `file:PATH`; a secret in clear is refused.
Relative paths start at the folder of `santral.toml`."""

#: Variables that begin with SANTRAL_ and are no settings: what they do.
VARIABLES = {
    "SANTRAL_CONFIG": "The file to read where `--config` names none.",
    "SANTRAL_BOOTSTRAP_KEY": "The application key that the first start shall make, in place of a "
    "random one.",
    "SANTRAL_ADMIN_KEY": "The administrator's key with which `santral traces` asks the control process.",
    "SANTRAL_KEY": "Not read by Santral: free for scripts that need a virtual key.",
}


class Place:
    """A table of the file: where it stands and the class that describes it."""

    def __init__(self, title: str, model: type[BaseModel], section: str) -> None:
        self.titles = [title]
        self.model = model
        self.section = section


def configuration_page() -> str:
    """Return the page."""
    return page("Configuration", INTRO, _variables(), *(_part(place) for place in places()))


def places() -> list[Place]:
    """Return every table of the file in the order of the classes; equal ones stand together."""
    found: dict[type[BaseModel], Place] = {}
    for name, field in Config.model_fields.items():
        _collect(found, name, field, name)
    return list(found.values())


def _collect(
    found: dict[type[BaseModel], Place], title: str, field: FieldInfo, section: str
) -> None:
    shape, model = _model_of(field.annotation)
    if model is None:
        return
    path = f"{title}.NAME" if shape is dict else title
    heading = f"[[{path}]]" if shape is list else f"[{path}]"
    if model in found:
        found[model].titles.append(heading)
        return
    found[model] = Place(heading, model, section)
    for name, inner in model.model_fields.items():
        _collect(found, f"{path}.{name}", inner, section)


def _model_of(annotation: Any) -> tuple[Any, type[BaseModel] | None]:
    """Return the container (dict, list or None) and the section class inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None, annotation
    for inner in get_args(annotation):
        shape, model = _model_of(inner)
        if model is not None:
            origin = get_origin(annotation)
            return (origin if origin in (dict, list) else shape), model
    return None, None


def _part(place: Place) -> str:
    reload = (
        "A change takes effect without a restart."
        if place.section in RELOADABLE
        else "A change needs a restart."
    )
    built_in = ", ".join(f"`{name}`" for name in BUILT_IN.get(place.section, {}))
    note = f" Always there without being declared: {built_in}." if built_in else ""
    extra = " Further settings are the check's own: [checks](checks.md)." if _is_open(place) else ""
    rows = [
        (code(name), type_text(field), default_text(field), field.description or "")
        for name, field in place.model.model_fields.items()
    ]
    return "\n\n".join(
        [
            f"## {', '.join(code(title) for title in place.titles)}",
            f"{prose(place.model.__doc__)} {reload}{note if place.titles[0].count('.') == 1 else ''}{extra}",
            table(("Setting", "Type", "Default", "Meaning"), rows),
        ]
    )


def _is_open(place: Place) -> bool:
    return place.model.model_config.get("extra") == "allow"


def type_text(field: FieldInfo) -> str:
    """Return a type as a person writes it in TOML, with its bounds."""
    if "SecretRef" not in str(field.annotation) and any(
        getattr(item, "pattern", None) for item in field.metadata
    ):
        return "name"
    return _type(field.annotation) + _bounds(field)


def default_text(field: FieldInfo) -> str:
    """Return a default as TOML, or that the setting is required or empty."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "see its table"
    return "none" if value is None or value in ({}, []) else code(_toml(value))


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return words([code(_toml(value)) for value in arguments], "or")
    if origin in (Union, types.UnionType):
        return words([_type(inner) for inner in arguments if inner is not type(None)], "or")
    if origin is dict:
        return f"table of {_many(arguments[1])}" if len(arguments) == 2 else "table"
    if origin is list:
        return f"list of {_many(arguments[0])}"
    if hasattr(annotation, "__metadata__"):
        return type_text(FieldInfo.from_annotation(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return _NAMES.get(annotation, str(annotation))


def _many(annotation: Any) -> str:
    """Return a type in the plural; bounds come after it."""
    one, comma, bounds = _type(annotation).partition(", ")
    return f"{one}s{comma}{bounds}"


_NAMES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    SecretRef: "secret reference",
}


def _bounds(field: FieldInfo) -> str:
    named = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    bounds = [
        f"{text} {_toml(getattr(item, name))}"
        for name, text in named.items()
        for item in field.metadata
        if getattr(item, name, None) is not None
    ]
    return f", {' and '.join(bounds)}" if bounds else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 100_000 else str(value)
    if isinstance(value, float):
        return f"{value:_.0f}" if abs(value) >= 100_000 else repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return f'"{value}"'


def _variables() -> str:
    unknown = RESERVED ^ VARIABLES.keys()
    if unknown:
        raise SystemExit(f"docs/generator/configuration.py: VARIABLES differs in {sorted(unknown)}")
    rows = [(code(name), text) for name, text in VARIABLES.items()]
    return "## Environment variables that are no settings\n\n" + table(
        ("Variable", "Meaning"), rows
    )

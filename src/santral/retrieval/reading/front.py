"""Front matter: what stands above a text between two rules, in YAML or TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Any, cast

import yaml

from santral.retrieval.document import UnreadableError

_YAML = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)\n\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"\s*[\w.-]+[ \t]*:(?:\s|$)")
#: Longest front matter, and how deep its values go. Chosen: it says a few things about a text.
_LONGEST, _DEEPEST = 20_000, 8


class _Loader(yaml.SafeLoader):
    """Plain YAML without aliases, of which bombs are made."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        loader: Any = super()
        if loader.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*): write the value out")
        return loader.compose_node(parent, index)


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Return what the front matter says (empty without one), and the text below it.

    Raises:
        UnreadableError: it begins like front matter and cannot be understood.
    """
    for pattern, parse in ((_YAML, _from_yaml), (_TOML, _from_toml)):
        match = pattern.match(text[: _LONGEST + 100])
        if match:
            found = parse(match[1])
            return (found, text[match.end() :]) if found is not None else ({}, text)
    return {}, text


def named(front: Mapping[str, Any], field: str) -> str:
    """Return a text of the front matter, or nothing."""
    value = front.get(field)
    return value if isinstance(value, str) else ""


def _from_yaml(text: str) -> dict[str, Any] | None:
    """Return the fields, or None where it is text between two rules."""
    if not text.strip():
        return {}
    if not _FIELD.match(text):
        return None
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableError(f"its front matter is not YAML: {_line(error)}") from None
    return cast("dict[str, Any]", _plain(found, 0)) if isinstance(found, dict) else None


def _from_toml(text: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", _plain(tomllib.loads(text), 0))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"its front matter is not TOML: {_line(error)}") from None


def _plain(value: Any, depth: int) -> Any:
    """Return a value as JSON has it: dates as text."""
    if depth > _DEEPEST:
        raise UnreadableError("its front matter is nested too deep")
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {str(name): _plain(item, depth + 1) for name, item in items}
    if isinstance(value, list | tuple | set):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    return value if isinstance(value, str | bool | int | float) or value is None else str(value)


def _line(error: Exception) -> str:
    mark: Any = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error)
    return f"{what} (line {mark.line + 2})" if mark else f"{what}"

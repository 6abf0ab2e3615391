"""docs/reference/checks.md from the registry of checks."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from generator.markdown import code, first_line, page, prose, table, words
from santral.guardrails.check import Check
from santral.guardrails.registry import CHECKS

INTRO = """\
A policy lists checks for three places: `input` (messages, tool arguments and prompt variables of
the caller), `retrieved` (passages from a collection) and `output` (the answer). Every check of a
list says something, also when an earlier one refused. What it finds and what is done about it are
kept apart: the *verdict* is `passed`, `found` or `failed` (the check itself broke), and the
*action* is one of

- `mask`: replace what was found with a placeholder and go on;
- `refuse`: stop with `guardrail_refused` (input, retrieved) or `output_refused` (output);
- `report`: go on, and note it in the trace;
- `retry`: ask the model once more, with the reason (output only); when the second answer fails
  too, the request is refused.

A check that breaks refuses the request, unless it is given `on_failure = "open"`. Verdicts never
hold the value that was found, only its kind and how often."""

#: The order in which places are named.
_PLACES = ("input", "retrieved", "output")


def checks_page() -> str:
    """Return the page."""
    return page("Checks", INTRO, *(_part(name, check) for name, check in sorted(CHECKS.items())))


def _part(name: str, check: type[Check]) -> str:
    places = words([code(place) for place in _PLACES if place in check.places], "and")
    default, *others = [code(action) for action in check.actions]
    actions = (
        f"Default action: {default}; also: {', '.join(others)}."
        if others
        else f"Action: {default}."
    )
    text = f"{first_line(check.__doc__)} Looks at {places}. {actions} {_whole(check)}".rstrip()
    parts = [f"## {code(name)}", text, prose(check.Params.__doc__)]
    rows = [setting_row(field) for field in msgspec.structs.fields(check.Params)]
    if rows:
        parts.append(table(("Setting", "Type", "Default"), rows))
    return "\n\n".join(parts)


def _whole(check: type[Check]) -> str:
    """Return what the check does to a stream."""
    told = inspect.getattr_static(check, "reads_whole", None)
    if isinstance(told, property):
        return first_line(told.__doc__)
    if told:
        return "It reads the whole answer: a stream whose policy acts on it is held back until its end."
    return ""


def setting_row(field: msgspec.structs.FieldInfo) -> tuple[str, str, str]:
    """Return the row of a setting: its name, its type and what it is where nobody sets it."""
    return code(field.encode_name), _type(field.type), _default(field)


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    inner = [part for part in get_args(annotation) if part not in (type(None), Ellipsis)]
    if origin is Literal:
        return words([code(f'"{value}"') for value in inner], "or")
    if origin in (Union, types.UnionType):
        return words([_type(part) for part in inner], "or")
    if origin in (tuple, list, frozenset):
        return f"list of {_type(inner[0])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)):
        return "table"
    if hasattr(annotation, "__metadata__"):
        return _type(inner[0])
    return {str: "text", int: "integer", float: "number", bool: "`true` or `false`"}.get(
        annotation, getattr(annotation, "__name__", str(annotation))
    )


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return "none" if value is None else code(_toml(value))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, frozenset):
        return _toml(sorted(value))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)

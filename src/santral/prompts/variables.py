"""Variables of a prompt: what a caller gives is checked against what the prompt declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from santral.errors import BadRequest, nearest
from santral.prompts.version import PromptVersion, Variable, VariableType, VariableValue

_NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "strings": "a list of strings",
}


def bind(version: PromptVersion, given: Mapping[str, Any]) -> dict[str, VariableValue]:
    """Return the value of every declared variable.

    Raises:
        BadRequest: names every variable that is missing, unknown, of another type or too long.
    """
    declared = version.variables
    faults: list[str] = []
    values: dict[str, VariableValue] = {}
    for name, variable in declared.items():
        if name in given:
            fault = fault_of(variable, given[name])
            if fault:
                faults.append(f"'{name}' {fault}")
            values[name] = given[name]
        elif variable.default is None:
            faults.append(f"'{name}' is missing")
        else:
            values[name] = variable.default
    if len(values) < len(given) or not given.keys() <= declared.keys():
        faults += [
            f"'{name}' is not a variable of this prompt.{nearest(name, declared)}".rstrip(".")
            for name in given
            if name not in declared
        ]
    if faults:
        raise BadRequest(
            f"Prompt '{version.name}' {version.version} cannot be filled in: "
            f"{'; '.join(faults)}.".replace("?.", "?"),
            code="invalid_prompt_variables",
            param="santral.prompt.variables",
        )
    return values


def fault_of(variable: Variable, value: Any) -> str:
    """Say what is wrong with a value of the variable, or return an empty string."""
    if not _IS_TYPE[variable.type](value):
        return f"must be {_NOUNS[variable.type]}, not {_kind(value)}"
    if isinstance(value, str) and len(value) > variable.max_length:
        return f"has {len(value)} characters, more than {variable.max_length}"
    if isinstance(value, list):
        return _list_fault(variable, [str(item) for item in value])  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return ""


def _list_fault(variable: Variable, items: list[str]) -> str:
    if len(items) > variable.max_items:
        return f"has {len(items)} items, more than {variable.max_items}"
    longest = max((len(item) for item in items), default=0)
    if longest > variable.max_length:
        return f"has an item of {longest} characters, more than {variable.max_length}"
    return ""


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # nan and the infinities are no numbers a person would write into a prompt
    return _is_integer(value) or (isinstance(value, float) and abs(value) < float("inf"))


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)  # pyright: ignore[reportUnknownVariableType]


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


_IS_TYPE: dict[VariableType, Callable[[Any], bool]] = {
    "string": _is_string,
    "integer": _is_integer,
    "number": _is_number,
    "boolean": _is_boolean,
    "strings": _is_strings,
}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {
        str: "a string",
        int: "an integer",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return next((noun for kind, noun in names.items() if isinstance(value, kind)), "that")

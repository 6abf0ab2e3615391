"""The front matter of a prompt file: TOML that declares variables, settings and output schema."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import jsonschema_rs
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from santral.errors import ConfigError, nearest
from santral.prompts.variables import fault_of
from santral.prompts.version import Variable, VariableType, VariableValue

FENCE = "+++"

# Names that the template language reads in its own way.
_RESERVED = frozenset(
    [
        "and",
        "as",
        "block",
        "context",
        "do",
        "elif",
        "else",
        "endfor",
        "endif",
        "false",
        "for",
        "from",
        "if",
        "ignore",
        "import",
        "in",
        "is",
        "loop",
        "missing",
        "none",
        "not",
        "or",
        "recursive",
        "self",
        "set",
        "super",
        "true",
        "with",
        "without",
        "False",
        "None",
        "True",
    ]
)
_Length = Annotated[int, Meta(ge=1, le=1_000_000)]


class VariableSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """``[variables.NAME]`` of the front matter."""

    type: VariableType = "string"
    description: str = ""
    default: VariableValue | None = None
    # Chosen: a page of text, and more items than a person lists.
    max_length: _Length = 10_000
    max_items: Annotated[int, Meta(ge=1, le=1000)] = 100


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """``[settings]`` of the front matter: fields of the chat request that the version fixes.

    Source: https://platform.openai.com/docs/api-reference/chat/create
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(gt=0, le=1)] | UnsetType = UNSET
    max_completion_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    max_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | UnsetType = UNSET
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    stop: Annotated[list[str], Meta(min_length=1, max_length=4)] | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET


class FrontMatter(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything above the second ``+++``."""

    description: str = ""
    variables: dict[str, Any] = field(default_factory=dict[str, Any])  # VariableSpec, see declare
    settings: Settings = Settings()
    output_schema: dict[str, Any] | None = None


def read_front(path: Path, text: str) -> tuple[FrontMatter, list[str], int]:
    """Return the front matter, its lines, and the line on which the body starts.

    Raises:
        ConfigError: no front matter, not TOML, an unknown setting or a value that does not fit.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != FENCE:
        raise fault(path, 1, f"the first line must be {FENCE}, then TOML, then {FENCE} again")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), None)
    if end is None:
        raise fault(path, 1, f"the front matter is not closed by a line {FENCE}")
    front_lines = lines[1:end]
    try:
        table = tomllib.loads("\n".join(front_lines))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        line = int(place[1]) + 1 if place else end
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise fault(path, line, f"the front matter is not TOML: {reason}") from None
    front = _convert(path, front_lines, table, FrontMatter, [])
    return front, front_lines, end + 2


def declare(path: Path, lines: list[str], name: str, table: Any) -> Variable:
    """Return the variable that ``[variables.NAME]`` declares, its default checked."""
    spec = _convert(path, lines, table, VariableSpec, ["variables", name])
    line = line_of(lines, ["variables", name])
    if not (name.isidentifier() and name.isascii()) or name in _RESERVED or name.startswith("_"):
        raise fault(path, line, f"'{name}' cannot be the name of a variable")
    variable = Variable(
        name=name,
        type=spec.type,
        description=spec.description,
        default=spec.default,
        max_length=spec.max_length,
        max_items=spec.max_items,
    )
    if spec.default is not None and (wrong := fault_of(variable, spec.default)):
        raise fault(path, line, f"the default of '{name}' {wrong}")
    return variable


def check_schema(path: Path, lines: list[str], schema: dict[str, Any] | None) -> None:
    """Refuse an output schema that is not a JSON Schema."""
    if schema is None:
        return
    try:
        jsonschema_rs.validator_for(schema, offline=True)  # references to other places are refused
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise fault(
            path, line_of(lines, ["output_schema"]), f"output_schema is not a JSON Schema: {reason}"
        ) from None


def line_of(lines: list[str], keys: list[str]) -> int:
    """The file line of a key of the front matter: the key itself, or else its table."""
    if not keys:
        return 1
    header = re.compile(rf"\s*\[\s*{re.escape('.'.join(keys[:-1]))}\s*\]")
    start = next((n for n, line in enumerate(lines) if len(keys) > 1 and header.match(line)), 0)
    key = re.escape(keys[-1])
    wanted = re.compile(rf"\s*[\"']?{key}[\"']?\s*[=.]|\s*\[[^\]]*\b{key}\s*\]|.*\b{key}\s*=")
    found = next((n for n, line in enumerate(lines[start:], start) if wanted.match(line)), start)
    return found + 2


def fault(path: Path, line: int, reason: str) -> ConfigError:
    """An error that names the place in a file."""
    return ConfigError(f"{path}:{line}: {reason}.")


def hint(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known name nearest to ``name``, or an empty string."""
    close = nearest(name, known).removeprefix(" Did you mean ").removesuffix("?")
    return f" (did you mean {close}?)" if close else ""


_S = TypeVar("_S", FrontMatter, VariableSpec)


def _convert(path: Path, lines: list[str], table: Any, kind: type[_S], prefix: list[str]) -> _S:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise _invalid(path, lines, str(error), prefix) from None


def _invalid(path: Path, lines: list[str], text: str, prefix: list[str]) -> ConfigError:
    """Turn msgspec's ``… - at `$.settings.seed` `` into a place in the file."""
    reason, _, at = text.partition(" - at `")
    keys = [*prefix, *re.findall(r"[A-Za-z_]\w*", at)]
    if "unknown field `" in reason:
        unknown = reason.partition("unknown field `")[2].rstrip("`")
        known = _known(keys)
        reason = f"unknown setting '{unknown}'{hint(unknown, known)}; known: {', '.join(known)}"
        keys.append(unknown)
    else:
        reason = f"'{'.'.join(keys)}': {reason[:1].lower()}{reason[1:]}"
    return fault(path, line_of(lines, keys), reason)


def _known(keys: list[str]) -> tuple[str, ...]:
    if not keys:
        return FrontMatter.__struct_fields__
    return (Settings if keys[0] == "settings" else VariableSpec).__struct_fields__

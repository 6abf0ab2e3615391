"""The front matter of a prompt file: TOML that declares variables, settings and output schema."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import jsonschema_rs
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from santral.errors import ConfigError, nearest
from santral.prompts.variables import fault_of
from santral.prompts.version import (
    PromptTest,
    PromptTool,
    Variable,
    VariableType,
    VariableValue,
)

FENCE = "+++"
_YAML_FENCE = "---"

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
#: What an error calls the file: its path, or what stands for it in the registry.
Place: TypeAlias = Path | str
_Length = Annotated[int, Meta(ge=1, le=1_000_000)]


_NO_YAML = (
    "front matter between --- lines is YAML, which is not read: write the same keys as TOML between "
    "+++ lines, e.g. 'temperature: 0.2' under [settings] as 'temperature = 0.2'"
)


class VariableSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """``[variables.NAME]`` of the front matter."""

    type: VariableType = "string"
    description: str = ""
    default: VariableValue | None = None
    # Chosen: a page of text, and more items than a person lists.
    max_length: _Length = 10_000
    max_items: Annotated[int, Meta(ge=1, le=1000)] = 100
    untrusted: bool = False


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
    changelog: str = ""  # what this version changes, for who reads the log
    owner: str = ""  # whom to ask: a team, an address
    variables: dict[str, Any] = field(default_factory=dict[str, Any])  # VariableSpec, see declare
    settings: Settings = Settings()
    output_schema: dict[str, Any] | None = None
    tools: list[Any] = field(default_factory=list[Any])  # PromptTool, see read_tools
    tests: list[Any] = field(default_factory=list[Any])  # PromptTest, see read_tests


def read_front(path: Place, text: str) -> tuple[FrontMatter, list[str], int]:
    """Return the front matter, its lines, and the line on which the body starts.

    Raises:
        ConfigError: no front matter, not TOML, an unknown setting or a value that does not fit.
    """
    lines = text.split("\n")
    if lines[0].rstrip() == _YAML_FENCE:
        raise fault(path, 1, _NO_YAML)
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


def declare(path: Place, lines: list[str], name: str, table: Any) -> Variable:
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
        is_untrusted=spec.untrusted,
    )
    if spec.untrusted and spec.type not in ("string", "strings"):
        raise fault(path, line, f"'{name}' is no text: only texts are untrusted")
    if spec.default is not None and (wrong := fault_of(variable, spec.default)):
        raise fault(path, line, f"the default of '{name}' {wrong}")
    return variable


def read_tools(path: Place, lines: list[str], tables: list[Any]) -> tuple[PromptTool, ...]:
    """Return the tools that ``[[tools]]`` declare, their parameters checked to be a JSON Schema."""
    tools: list[PromptTool] = []
    for number, table in enumerate(tables):
        tool = _convert_entry(path, lines, table, PromptTool, ("tools", number))
        line = _line_of_entry(lines, "tools", number)
        if any(tool.name == other.name for other in tools):
            raise fault(path, line, f"there are two tools '{tool.name}'")
        _check_schema(path, line, "parameters", tool.parameters)
        tools.append(tool)
    return tuple(tools)


def read_tests(path: Place, lines: list[str], tables: list[Any]) -> tuple[PromptTest, ...]:
    """Return the tests that ``[[tests]]`` declare; each must say what has to hold."""
    tests: list[PromptTest] = []
    for number, table in enumerate(tables):
        test = _convert_entry(path, lines, table, PromptTest, ("tests", number))
        line = _line_of_entry(lines, "tests", number)
        if any(test.name == other.name for other in tests):
            raise fault(path, line, f"there are two tests '{test.name}'")
        if not _holds_something(test):
            raise fault(path, line, f"the test '{test.name}' says nothing that must hold")
        if test.answer is None and (
            test.answer_contains or test.answer_not_contains or test.schema_valid is not None
        ):
            raise fault(path, line, f"the test '{test.name}' has no answer that this could hold of")
        tests.append(test)
    return tuple(tests)


def _holds_something(test: PromptTest) -> bool:
    told = (test.contains, test.not_contains, test.answer_contains, test.answer_not_contains)
    known = (test.equals, test.max_characters, test.refused, test.schema_valid)
    return any(told) or any(one is not None for one in known)


def check_schema(path: Place, lines: list[str], schema: dict[str, Any] | None) -> None:
    """Refuse an output schema that is not a JSON Schema."""
    if schema is None:
        return
    _check_schema(path, line_of(lines, ["output_schema"]), "output_schema", schema)


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


def fault(path: Place, line: int, reason: str) -> ConfigError:
    """An error that names the place in a file."""
    return ConfigError(f"{path}:{line}: {reason}.")


def hint(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known name nearest to ``name``, or an empty string."""
    close = nearest(name, known).removeprefix(" Did you mean ").removesuffix("?")
    return f" (did you mean {close}?)" if close else ""


def _check_schema(path: Place, line: int, name: str, schema: dict[str, Any]) -> None:
    try:
        jsonschema_rs.validator_for(schema, offline=True)  # references to other places are refused
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise fault(path, line, f"{name} is not a JSON Schema: {reason}") from None


_S = TypeVar("_S", FrontMatter, VariableSpec)
_E = TypeVar("_E", PromptTool, PromptTest)


def _convert_entry(
    path: Place, lines: list[str], table: Any, kind: type[_E], at: tuple[str, int]
) -> _E:
    """Return one entry of an array of tables, e.g. the second ``[[tests]]``."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        reason = str(error).replace(" - at `$.", " in `").replace(" - at `$`", "")
        if "unknown field `" in reason:
            unknown = reason.partition("unknown field `")[2].partition("`")[0]
            reason = f"unknown setting '{unknown}'{hint(unknown, kind.__struct_fields__)}"
            reason += f"; known: {', '.join(kind.__struct_fields__)}"
        reason = f"[[{at[0]}]] {reason[:1].lower()}{reason[1:]}"
        raise fault(path, _line_of_entry(lines, *at), reason) from None


def _line_of_entry(lines: list[str], name: str, number: int) -> int:
    """The file line of the entry ``number`` of an array of tables."""
    heads = [n for n, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{name}\s*\]\]", line)]
    return heads[number] + 2 if number < len(heads) else line_of(lines, [name])


def _convert(path: Place, lines: list[str], table: Any, kind: type[_S], prefix: list[str]) -> _S:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise _invalid(path, lines, str(error), prefix) from None


def _invalid(path: Place, lines: list[str], text: str, prefix: list[str]) -> ConfigError:
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

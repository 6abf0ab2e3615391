"""docs/reference/commands.md from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from typer.main import get_command

from generator.markdown import code, page, prose, table
from santral.__main__ import full_app

INTRO = """\
Every command reads the same configuration as `santral serve`: the file after
`santral --config FILE ...`, else the one that the variable `SANTRAL_CONFIG` names, else
`./santral.toml`. An error that a person can act on is one sentence on
standard error and exit status 1; a wrong option is exit status 2. Every command explains itself
with `--help`."""


def commands_page() -> str:
    """Return the page."""
    return page("Commands", INTRO, *(_part(name, command) for name, command in commands()))


def commands() -> list[tuple[str, Any]]:
    """Return every command, by its full name."""
    return list(_walk("santral", get_command(full_app())))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for part in sorted(inner):
        if not inner[part].hidden:
            yield from _walk(f"{name} {part}", inner[part])


def _part(name: str, command: Any) -> str:
    shown = [param for param in command.params if not param.hidden and param.name != "help"]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    usage = " ".join([name, *(_argument(param) for param in arguments)])
    if len(shown) > len(arguments):
        usage += " [OPTIONS]"
    rows = [(_name(param), _default(param), prose(param.help)) for param in shown]
    parts = [f"## {code(name)}", prose(command.help), f"```console\n$ {usage}\n```"]
    if rows:
        parts.append(table(("Argument or option", "Default", "Meaning"), rows))
    return "\n\n".join(parts)


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    many = f"{name}..." if param.nargs != 1 else name
    return many if param.required else f"[{many}]"


def _name(param: Any) -> str:
    if param.param_type_name == "argument":
        return code(_argument(param))
    names = ", ".join([*param.opts, *param.secondary_opts])
    return code(names if param.is_flag else f"{names} {param.metavar or _kind(param)}")


def _kind(param: Any) -> str:
    kind = param.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(choice.value) for choice in kind)
    text = getattr(kind, "__name__", str(kind)) if isinstance(kind, type) else str(kind)
    return next((shown for part, shown in _KINDS.items() if part in text), "TEXT")


_KINDS = {"datetime": "DATE", "Path": "PATH", "float": "NUMBER", "int": "INTEGER"}


def _default(param: Any) -> str:
    if param.required:
        return "required"
    value = param.default
    if isinstance(param.show_default, str):
        return code(param.show_default)
    if value is None or value is False or value in ("", []):
        return "off" if getattr(param, "is_flag", False) else "none"
    return code(str(value.value if isinstance(value, Enum) else value))

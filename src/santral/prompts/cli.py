"""``santral prompts``: list, show, lint and render the prompts kept as files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from santral.config.cli import ConfigPath
from santral.config.load import load
from santral.errors import BadRequest
from santral.prompts.compose import compose
from santral.prompts.library import inspect_prompts, load_prompts
from santral.prompts.version import PromptVersion, Variable
from santral.tenants.table import print_table

prompts_app = typer.Typer(no_args_is_help=True, help="List, show, check and render prompts.")

Folder = Annotated[
    Path | None,
    typer.Option("--folder", "-f", help="Folder of prompts; default is the configured one."),
]
Reference = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION|@LABEL]", help="The prompt, e.g. assistant@1.0.0.")
]


@prompts_app.command("list")
def list_prompts(folder: Folder = None, config: ConfigPath = None) -> None:
    """Print every prompt version, its labels and its variables."""
    rows = [
        (
            prompt.name,
            version.version,
            ", ".join(label for label, at in prompt.labels.items() if at == version.version),
            ", ".join(version.variables),
            version.content_hash[:12],
            version.description,
        )
        for prompt in load_prompts(_folder(folder, config))
        for version in prompt.versions
    ]
    print_table(("prompt", "version", "labels", "variables", "hash", "description"), rows)


@prompts_app.command("show")
def show(reference: Reference, folder: Folder = None, config: ConfigPath = None) -> None:
    """Print one version: settings, variables, schema and messages as they are written."""
    version = load_prompts(_folder(folder, config)).find(reference)
    typer.echo(f"{version.reference}  sha256:{version.content_hash}\n{version.description}")
    for key, value in version.settings.items():
        typer.echo(f"setting   {key} = {json.dumps(value, ensure_ascii=False)}")
    for variable in version.variables.values():
        typer.echo(f"variable  {_declaration(variable)}")
    if version.output_schema is not None:
        typer.echo(f"schema    {json.dumps(version.output_schema, ensure_ascii=False)}")
    _print_messages([{"role": m.role, "content": m.text} for m in version.messages])


@prompts_app.command("lint")
def lint(
    folder: Annotated[Path | None, typer.Argument(help="Folder of prompts.")] = None,
    config: ConfigPath = None,
) -> None:
    """Check every prompt: exit status 1 when one cannot be used; each fault with file and line."""
    place = _folder(folder, config)
    if not place.is_dir():
        typer.echo(f"{place}: there is no such folder.", err=True)
        raise typer.Exit(1)
    library, faults = inspect_prompts(place)
    for line in faults:
        typer.echo(line, err=True)
    versions = sum(len(prompt.versions) for prompt in library)
    typer.echo(f"{place}: {len(library)} prompts, {versions} versions, {len(faults)} faults.")
    if faults:
        raise typer.Exit(1)


@prompts_app.command("render")
def render(
    reference: Reference,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME=VALUE", help="A variable; numbers and lists as JSON."),
    ] = None,
    folder: Folder = None,
    config: ConfigPath = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages as JSON.")] = False,
) -> None:
    """Fill a prompt in and print its messages."""
    version = load_prompts(_folder(folder, config)).find(reference)
    messages = compose(version, _values(version, var or []))
    if as_json:
        typer.echo(json.dumps(messages, indent=2, ensure_ascii=False))
    else:
        _print_messages(messages)


def _folder(given: Path | None, config: Path | None) -> Path:
    return given if given is not None else load(config, os.environ).config.prompts.folder


def _declaration(variable: Variable) -> str:
    needed = (
        "required"
        if variable.is_required
        else f"default {json.dumps(variable.default, ensure_ascii=False)}"
    )
    return f"{variable.name}: {variable.type}, {needed}. {variable.description}".rstrip()


def _print_messages(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        typer.echo(f"\n## {message['role']}\n{message['content']}")


def _values(version: PromptVersion, pairs: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise BadRequest(f"--var {pair}: give it as NAME=VALUE.", param=name)
        variable = version.variables.get(name)
        values[name] = text if variable is None else _value(variable, text)
    return values


def _value(variable: Variable, text: str) -> Any:
    """Read a value given on the command line: strings as they stand, everything else as JSON."""
    if variable.type == "string":
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # binding says which type it should have been

"""``santral prompts``: list, show, check, test and render prompts; push them, and move their labels."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from santral.config.cli import ConfigPath
from santral.config.load import load
from santral.db.session import with_database
from santral.errors import BadRequest, NotFound, nearest
from santral.prompts.compose import compose
from santral.prompts.diff import diff as differences
from santral.prompts.diff import text_of
from santral.prompts.folder import chosen, write_versions
from santral.prompts.label import move_label, protect, remove_label, roll_back, unprotect
from santral.prompts.library import (
    PromptLibrary,
    find_draft,
    inspect_prompts,
    load_prompts,
    split_reference,
)
from santral.prompts.look import compare, find_prompt, list_prompts, log_of
from santral.prompts.patterns.cli import patterns_app
from santral.prompts.push import delete_version, push_version
from santral.prompts.store import LabelEvent
from santral.prompts.trial import run_tests
from santral.prompts.version import PromptVersion, Variable
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

prompts_app = typer.Typer(
    no_args_is_help=True, help="List, check, test and render prompts; push them, move their labels."
)
prompts_app.add_typer(patterns_app, name="patterns")

Folder = Annotated[
    Path | None,
    typer.Option("--folder", "-f", help="Folder of prompts; default is the configured one."),
]
Reference = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION|@LABEL]", help="The prompt, e.g. assistant@1.0.0.")
]
Tenant = Annotated[
    str, typer.Option("--tenant", "-t", help="Whose; '*' is the whole installation.")
]
OfTenant = Annotated[
    str | None,
    typer.Option("--tenant", "-t", help="As this tenant gets it, registered ones too."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The prompt.")]
Label = Annotated[str, typer.Argument(metavar="LABEL", help="The label, e.g. production.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Prompts; default is all of them.")
]
NAME_OF_ALL = "A prompt, or '*' for every one, also of tenants beneath."


@prompts_app.command("list")
def list_(folder: Folder = None, tenant: OfTenant = None, config: ConfigPath = None) -> None:
    """Print the prompt versions of the folder, or with --tenant the prompts that a tenant gets."""
    if tenant is not None:
        files = _files(config)
        lines = with_database(
            os.environ, lambda engine: list_prompts(engine, files, tenant, by=local_operator())
        )
        print_table(
            ("prompt", "owner", "versions", "labels", "description"),
            [
                (
                    one.name,
                    one.owner or "folder",
                    ", ".join(one.versions),
                    ", ".join(f"{label}={version}" for label, version in one.labels.items()),
                    one.broken or one.description,
                )
                for one in lines
            ],
        )
        return
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
def show(
    reference: Reference, folder: Folder = None, tenant: OfTenant = None, config: ConfigPath = None
) -> None:
    """Print one version: settings, variables, schema and messages, what it includes in its place."""
    version = _version(reference, folder, tenant, config)
    typer.echo(f"{version.reference}  sha256:{version.content_hash}\n{version.description}")
    for name, value in (("owner", version.owner), ("changelog", version.changelog)):
        if value:
            typer.echo(f"{name:<9} {value}")
    for included in version.includes:
        typer.echo(f"includes  {included}")
    for key, value in version.settings.items():
        typer.echo(f"setting   {key} = {json.dumps(value, ensure_ascii=False)}")
    for variable in version.variables.values():
        typer.echo(f"variable  {_declaration(variable)}")
    for tool in version.tools:
        typer.echo(f"tool      {tool.name}: {tool.description}")
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


@prompts_app.command("test")
def try_(names: Names = None, folder: Folder = None, config: ConfigPath = None) -> None:
    """Run the tests that stand in prompts; no model is asked. Exit status 1 when one does not hold."""
    library = load_prompts(_folder(folder, config))
    wanted = {draft.reference for draft in chosen(library, names or [])}
    versions = [v for prompt in library for v in prompt.versions if v.reference in wanted]
    failed = 0
    for version in versions:
        for failure in run_tests(version):
            failed += 1
            typer.echo(f"{version.reference}: {failure.test}: {failure.reason}", err=True)
    count = sum(len(version.tests) for version in versions)
    typer.echo(f"{count} tests of {len(versions)} versions, {failed} faults.")
    if failed:
        raise typer.Exit(1)


@prompts_app.command("render")
def render(
    reference: Reference,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME=VALUE", help="A variable; numbers and lists as JSON."),
    ] = None,
    folder: Folder = None,
    tenant: OfTenant = None,
    config: ConfigPath = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages as JSON.")] = False,
) -> None:
    """Fill a prompt in and print its messages."""
    version = _version(reference, folder, tenant, config)
    messages = compose(version, _values(version, var or []))
    if as_json:
        typer.echo(json.dumps(messages, indent=2, ensure_ascii=False))
    else:
        _print_messages(messages)


@prompts_app.command("push")
def push(
    names: Names = None,
    folder: Annotated[
        Path, typer.Option("--folder", "-f", help="Folder of prompts to push from.")
    ] = Path("prompts"),
    tenant: Tenant = DEFAULT_TENANT,
    label: Annotated[
        str | None, typer.Option("--label", "-l", help="Let this label point to what is pushed.")
    ] = None,
    reason: Reason = "",
    config: ConfigPath = None,
) -> None:
    """Register the versions of a folder. What is there already stays; another text is refused."""
    files, source = _files(config), load_prompts(folder)
    for draft in chosen(source, names or []):
        row, is_new = with_database(
            os.environ,
            lambda engine, draft=draft: push_version(
                engine, files, tenant, draft.name, draft.version, draft.text, _now(),
                by=local_operator(),
            ),
        )  # fmt: skip
        said = "pushed" if is_new else "there already"
        typer.echo(f"{tenant}/{row.name}@{row.version}: {said}  sha256:{row.content_hash[:12]}")
    if label is not None:
        for prompt in source:
            if not names or prompt.name in names:
                _label(tenant, prompt.name, label, prompt.versions[-1].version, reason, config)


@prompts_app.command("pull")
def pull(
    names: Names = None,
    folder: Annotated[Path, typer.Option("--folder", "-f", help="Folder to write into.")] = Path(
        "prompts"
    ),
    tenant: Tenant = DEFAULT_TENANT,
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
) -> None:
    """Write registered prompts into a folder, with where their labels point."""
    nobody = PromptLibrary({})  # what is registered, whatever the configured folder says
    by = local_operator()
    lines = with_database(os.environ, lambda engine: list_prompts(engine, nobody, tenant, by=by))
    known = {line.name: line for line in lines}
    for name in names or known:
        if name not in known:
            raise NotFound(
                f"There is no prompt '{name}'.{nearest(name, known)}", code="prompt_not_found"
            )
        bodies = {version: _text(tenant, name, version) for version in known[name].versions}
        labels = known[name].labels
        for written in write_versions(folder, name, bodies, labels, is_forced=force):
            typer.echo(f"{written.path}: {'written' if written.is_new else 'there already'}")


@prompts_app.command("diff")
def diff(
    before: Reference,
    after: Reference,
    folder: Folder = None,
    tenant: OfTenant = None,
    as_json: Json = False,
    config: ConfigPath = None,
) -> None:
    """Say what differs between two versions, by message, variable, setting, tool and schema."""
    if tenant is None:
        drafts = load_prompts(_folder(folder, config)).drafts
        with _of_folder_alone():
            changes = differences(find_draft(drafts, before), find_draft(drafts, after))
    else:
        files = _files(config)
        changes = with_database(
            os.environ,
            lambda engine: compare(engine, files, tenant, before, after, by=local_operator()),
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(changes), indent=2).decode())
    elif not changes:
        typer.echo("Nothing differs.")
    else:
        typer.echo("\n".join(text_of(changes)))


@prompts_app.command("log")
def log(name: Name, tenant: Tenant = DEFAULT_TENANT, config: ConfigPath = None) -> None:
    """Print who pushed versions and moved labels of a registered prompt, newest first."""
    files = _files(config)
    lines = with_database(
        os.environ, lambda engine: log_of(engine, files, tenant, name, by=local_operator())
    )
    if not lines:
        typer.echo(f"'{name}' is declared in the folder of prompts: git log knows what was done.")
        return
    print_table(
        ("at", "by", "what", "version", "label", "before", "why"),
        [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}", one.by, one.deed, one.version, one.label, one.before,
                one.reason,
            )
            for one in lines
        ],
    )  # fmt: skip


@prompts_app.command("label")
def label(
    name: Name,
    to: Label,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Where it is to point.")],
    tenant: Tenant = DEFAULT_TENANT,
    reason: Reason = "",
    config: ConfigPath = None,
) -> None:
    """Let a label point to a version; gateways follow within two seconds."""
    _label(tenant, name, to, version, reason, config)


@prompts_app.command("unlabel")
def unlabel(
    name: Name,
    to: Label,
    tenant: Tenant = DEFAULT_TENANT,
    reason: Reason = "",
    config: ConfigPath = None,
) -> None:
    """Take a label away: who asks for it gets a 404 within two seconds."""
    files = _files(config)
    _say_moved(
        with_database(
            os.environ,
            lambda engine: remove_label(
                engine, files, tenant, name, to, _now(), by=local_operator(), reason=reason
            ),
        )
    )


@prompts_app.command("rollback")
def rollback(
    name: Name,
    to: Label,
    tenant: Tenant = DEFAULT_TENANT,
    reason: Reason = "",
    config: ConfigPath = None,
) -> None:
    """Let a label point to where it pointed before; again, to where it pointed before that."""
    files = _files(config)
    _say_moved(
        with_database(
            os.environ,
            lambda engine: roll_back(
                engine, files, tenant, name, to, _now(), by=local_operator(), reason=reason
            ),
        )
    )


@prompts_app.command("protect")
def protect_(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_OF_ALL)],
    to: Label,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Let only owners and admins move a label."""
    with_database(
        os.environ,
        lambda engine: protect(engine, tenant, name, to, _now(), by=local_operator()),
    )
    typer.echo(f"Owners and admins alone move {to} of {tenant}/{name} from now on.")


@prompts_app.command("unprotect")
def unprotect_(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_OF_ALL)],
    to: Label,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Let everybody who may write prompts move a label again."""
    with_database(
        os.environ, lambda engine: unprotect(engine, tenant, name, to, by=local_operator())
    )
    typer.echo(f"Everybody who may write prompts moves {to} of {tenant}/{name} again.")


@prompts_app.command("delete")
def delete(
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="What to delete.")],
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Delete a version to which no label points and which nothing includes."""
    row = with_database(
        os.environ,
        lambda engine: delete_version(engine, tenant, name, version, _now(), by=local_operator()),
    )
    typer.echo(f"Deleted {tenant}/{row.name}@{row.version}; its number is never used again.")


def _label(tenant: str, name: str, to: str, version: str, reason: str, config: Path | None) -> None:
    files = _files(config)
    _say_moved(
        with_database(
            os.environ,
            lambda engine: move_label(
                engine, files, tenant, name, to, version, _now(), by=local_operator(), reason=reason
            ),
        )
    )


def _say_moved(event: LabelEvent) -> None:
    where = f"{event.tenant_id}/{event.name}"
    if event.version is None:
        typer.echo(f"{where} has no label {event.label} any more; it pointed to {event.before}.")
    else:
        before = f" (before: {event.before})" if event.before else ""
        typer.echo(f"{where}@{event.label} is {event.version}{before}.")


def _version(
    reference: str, folder: Path | None, tenant: str | None, config: Path | None
) -> PromptVersion:
    """Return a version of the folder, or with a tenant as that one gets it."""
    if tenant is None:
        with _of_folder_alone():
            return load_prompts(_folder(folder, config)).find(reference)
    files, (name, version, label) = _files(config), split_reference(reference)
    found = with_database(
        os.environ,
        lambda engine: find_prompt(
            engine, files, tenant, name, version, label, by=local_operator()
        ),
    )
    return found.resolved.version


@contextmanager
def _of_folder_alone() -> Generator[None]:
    """Say where else a prompt may be that the folder does not have."""
    try:
        yield
    except NotFound as error:
        raise NotFound(
            f"{error.message} That is the folder; for registered ones give --tenant {DEFAULT_TENANT}.",
            code=error.detail_code,
            param=error.param,
        ) from None


def _text(tenant: str, name: str, version: str) -> str:
    """Return the file of a registered version."""
    found = with_database(
        os.environ,
        lambda engine: find_prompt(
            engine, PromptLibrary({}), tenant, name, version, by=local_operator()
        ),
    )
    return found.draft.text


def _files(config: Path | None) -> PromptLibrary:
    """Return the prompts that the configured folder declares."""
    return inspect_prompts(load(config, os.environ).config.prompts.folder)[0]


def _folder(given: Path | None, config: Path | None) -> Path:
    return given if given is not None else load(config, os.environ).config.prompts.folder


def _now() -> datetime:
    return datetime.now(UTC)


def _declaration(variable: Variable) -> str:
    needed = (
        "required"
        if variable.is_required
        else f"default {json.dumps(variable.default, ensure_ascii=False)}"
    )
    trust = ", untrusted" if variable.is_untrusted else ""
    return f"{variable.name}: {variable.type}, {needed}{trust}. {variable.description}".rstrip()


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

"""``santral experiments``: make, start, widen, pause, stop, read and decide live experiments."""

from __future__ import annotations

import os
import tomllib
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from santral.config.load import load
from santral.config.schema import Config
from santral.db.session import with_database
from santral.errors import BadRequest, StoreError
from santral.experiments.change import (
    create_experiment,
    decide_experiment,
    pause_experiment,
    ramp_experiment,
    start_experiment,
    stop_experiment,
)
from santral.experiments.known import list_events, list_experiments, show_experiment
from santral.experiments.made import StoredExperiment, written
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.ask import KEY_VARIABLE, ControlProcess, StoppedStore, choose_source

Tenant = Annotated[
    str, typer.Option("--tenant", "-t", help="Whose requests; * for every tenant's.")
]
Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name.")]
Key = Annotated[str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)]
Url = Annotated[str, typer.Option(help="Control process to ask; default from santral.toml.")]

experiments_app = typer.Typer(
    no_args_is_help=True, help="Live experiments: make, start, read, stop, decide."
)


@experiments_app.command("list")
def list_(tenant: Tenant = DEFAULT_TENANT) -> None:
    """Print the experiments about a tenant's requests."""
    config = _config()
    found = with_database(
        os.environ, lambda engine: list_experiments(engine, config, tenant, by=local_operator())
    )
    print_table(
        ("experiment", "tenant", "state", "unit", "arms", "share", "started"),
        [
            (
                one.name,
                one.tenant_id,
                "in santral.toml" if one.is_declared else one.state,
                one.config.unit,
                ", ".join(one.config.variants),
                f"{one.now.share:g}",
                f"{one.started_at:%Y-%m-%d %H:%M}" if one.started_at else "",
            )
            for one in found
        ],
    )


@experiments_app.command("show")
def show(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Print one experiment: its settings, and what a ramp or a bandit made of them."""
    config = _config()
    one = with_database(
        os.environ,
        lambda engine: show_experiment(engine, config, tenant, name, by=local_operator()),
    )
    _tell(one)
    text = msgspec.json.encode({"settings": written(one.config), "now": one.now})
    typer.echo(msgspec.json.format(text, indent=2).decode())


@experiments_app.command("create")
def create(
    name: Name,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="A TOML file with [experiments.NAME], or its settings alone."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING=VALUE",
            help="A setting, e.g. unit=session or variants.new.weight=1; repeatable. VALUE is JSON, "
            "or a text.",
        ),
    ] = None,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Make a draft; nobody sees it before it is started."""
    config = _config()
    asked = _merged(_from_file(file, name), settings or [])
    one = with_database(
        os.environ,
        lambda engine: create_experiment(
            engine, config, tenant, name, asked, _now(), by=local_operator()
        ),
    )
    _tell(one)
    typer.echo(f"Start it with: santral experiments start {name}")


@experiments_app.command("start")
def start(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Let units take part, within two seconds; a paused one goes on where it was."""
    config = _config()
    _tell(
        with_database(
            os.environ,
            lambda engine: start_experiment(
                engine, config, tenant, name, _now(), by=local_operator()
            ),
        )
    )


@experiments_app.command("ramp")
def ramp(
    name: Name,
    share: Annotated[
        float | None,
        typer.Option(help="Part of the units that take part; default: the ramp's next step."),
    ] = None,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Let more units take part; those that do stay."""
    config = _config()
    _tell(
        with_database(
            os.environ,
            lambda engine: ramp_experiment(
                engine, config, tenant, name, share, _now(), by=local_operator()
            ),
        )
    )


@experiments_app.command("pause")
def pause(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Give every unit the control until it is started again."""
    config = _config()
    _tell(
        with_database(
            os.environ,
            lambda engine: pause_experiment(
                engine, config, tenant, name, _now(), by=local_operator()
            ),
        )
    )


@experiments_app.command("stop")
def stop(
    name: Name,
    reason: Annotated[str, typer.Option(help="For the decision log.")] = "",
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """End it for good: every unit sees the control within two seconds."""
    config = _config()
    _tell(
        with_database(
            os.environ,
            lambda engine: stop_experiment(
                engine, config, tenant, name, reason, _now(), by=local_operator()
            ),
        )
    )


@experiments_app.command("decide")
def decide(
    name: Name,
    arm: Annotated[str, typer.Argument(help="The arm that is taken.")],
    reason: Annotated[str, typer.Option(help="For the decision log.")] = "",
    tenant: Tenant = DEFAULT_TENANT,
    key: Key = "",
    url: Url = "",
) -> None:
    """Write down which arm is taken, with what was known; it ends where it still runs."""
    config = _config()
    evidence = _evidence(config, tenant, name, key, url)
    one = with_database(
        os.environ,
        lambda engine: decide_experiment(
            engine, config, tenant, name, arm, reason, _now(),
            by=local_operator(), evidence=evidence,
        ),
    )  # fmt: skip
    _tell(one)
    typer.echo(
        f"Now put what '{arm}' does into santral.toml, at the routes "
        f"{', '.join(one.config.routes) or 'that name it'}: until then they do what the control did."
    )


@experiments_app.command("status")
def status(name: Name, tenant: Tenant = DEFAULT_TENANT, key: Key = "", url: Url = "") -> None:
    """Say what may be concluded and what not."""
    for line in _conclusions(_config(), tenant, name, key, url):
        typer.echo(line)


@experiments_app.command("log")
def log(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Print what was decided, newest first, by whom and on what evidence."""
    config = _config()
    events = with_database(
        os.environ, lambda engine: list_events(engine, config, tenant, name, by=local_operator())
    )
    print_table(
        ("number", "at", "what", "by", "evidence"),
        [
            (
                str(event.number),
                f"{event.at:%Y-%m-%d %H:%M:%S}",
                event.kind,
                event.actor,
                msgspec.json.encode(event.evidence).decode(),
            )
            for event in events
        ],
    )


def _evidence(config: Config, tenant: str, name: str, key: str, url: str) -> dict[str, Any]:
    """Return what was known at a decision; it is made although no trace can be read."""
    try:
        return {"conclusions": _conclusions(config, tenant, name, key, url)}
    except StoreError as error:
        typer.echo(f"Decided without what was seen: {error.message}", err=True)
        return {"conclusions": []}


def _conclusions(config: Config, tenant: str, name: str, key: str, url: str) -> list[str]:
    """Return what may be said: the control process tells it, or the file of a stopped one."""
    source = choose_source(config, os.environ, url, key)
    if isinstance(source, ControlProcess):
        query = urllib.parse.urlencode({"tenant_id": tenant})
        place = urllib.parse.quote(name, safe="")
        told = msgspec.json.decode(source.get(f"/api/experiments/{place}/status?{query}"))
        return cast(list[str], told["conclusions"])
    return _read_here(cast(StoppedStore, source), config, tenant, name)


def _read_here(source: StoppedStore, config: Config, tenant: str, name: str) -> list[str]:
    # Imported here: scipy and DuckDB cost 0.3 s, and other commands never need them.
    from santral.db.session import control_database  # noqa: PLC0415
    from santral.experiments.conclude import conclusions  # noqa: PLC0415
    from santral.experiments.status import read_status  # noqa: PLC0415

    async def read(traces: Any) -> list[str]:
        async with control_database(config) as engine:
            found = await read_status(
                engine, config, traces, tenant, name, _now(), by=local_operator()
            )
        return conclusions(found)

    return source.ask(read)


def _from_file(file: Path | None, name: str) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"{file}: {error}.") from None
    tables = found.get("experiments")
    if tables is None:
        return found
    if name not in tables:
        raise BadRequest(f"{file} has no table [experiments.{name}]; it has {', '.join(tables)}.")
    return dict(tables[name])


def _merged(settings: dict[str, Any], given: list[str]) -> dict[str, Any]:
    """Return settings with ``a.b=value`` put in their places."""
    for text in given:
        path, is_given, value = text.partition("=")
        if not is_given:
            raise BadRequest(f"--set {text}: write SETTING=VALUE.")
        _put(settings, path.split("."), _value(value), text)
    return settings


def _put(table: dict[str, Any], path: list[str], value: Any, text: str) -> None:
    name, *rest = path
    if not rest:
        table[name] = value
        return
    inner: Any = table.setdefault(name, {})
    if not isinstance(inner, dict):
        raise BadRequest(f"--set {text}: '{name}' is no table.")
    _put(cast(dict[str, Any], inner), rest, value, text)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _tell(one: StoredExperiment) -> None:
    where = "every tenant" if one.tenant_id == "*" else one.tenant_id
    state = "stands in santral.toml" if one.is_declared else f"is {one.state}"
    typer.echo(f"'{one.name}' ({where}) {state}; {one.now.share:g} of its units take part.")


def _config() -> Config:
    return load(None, os.environ).config


def _now() -> datetime:
    return datetime.now(UTC)

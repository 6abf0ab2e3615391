"""``santral limits`` and ``santral budgets set``: what may be used."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from santral.config.load import load
from santral.db.session import with_database
from santral.errors import BadRequest
from santral.quota.answer import amount_text
from santral.quota.change import KnownRule, remove_rule, set_rules, show_rules
from santral.quota.limits import NAMED, default_rules, default_uncoordinated, rule_named
from santral.quota.rule import EACH, Rule, Scope, ScopeKind, Uncoordinated
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

limits_app = typer.Typer(
    no_args_is_help=True, help="Set, show and remove limits of requests, tokens and money."
)

budgets_app = typer.Typer(no_args_is_help=True, help="Set and show how many dollars may be spent.")

_TENANT = typer.Option("--tenant", "-t", help="Whose limit; `*` is the installation's.")
_WAIT = typer.Option(help="Seconds that a request may wait for room; default 0.")
_FALL_TO = typer.Option(help="The deployment that answers once the limit is used up.")
_WARN_AT = typer.Option(help="A fraction at which callers and the webhook are told; repeatable.")
_WEBHOOK = typer.Option(help="Where alerts go.")
_UNCOORDINATED = typer.Option(
    help="While Redis does not answer: share, refuse or allow; default is refuse for money."
)
_ZONE = typer.Option(help="Where days, weeks and months begin, e.g. Europe/Istanbul.")
_DRY_RUN = typer.Option("--dry-run", help="Count and show, refuse nothing.")


@limits_app.command("set")
def set_(
    tenant: Annotated[str, typer.Argument(help="Whose limit; `*` is the installation's.")],
    key: Annotated[str | None, typer.Option(help="A key of it, by id or prefix.")] = None,
    user: Annotated[str | None, typer.Option(help="A user; `*` is each one.")] = None,
    route: Annotated[str | None, typer.Option(help="A route; `*` is each one.")] = None,
    model: Annotated[str | None, typer.Option(help="A model or deployment.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag, as name=value or name=*.")] = None,
    requests_per_second: Annotated[float | None, typer.Option(help="Sustained rate.")] = None,
    burst: Annotated[int | None, typer.Option(help="Requests at once under that rate.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="In any 60 s.")] = None,
    requests_per_day: Annotated[int | None, typer.Option(help="By the calendar.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Input and output.")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(help="Input and output.")] = None,
    concurrent_requests: Annotated[int | None, typer.Option(help="That run at once.")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Dollars in any hour.")] = None,
    usd_per_day: Annotated[float | None, typer.Option(help="Dollars a day.")] = None,
    usd_per_week: Annotated[float | None, typer.Option(help="Dollars from Monday on.")] = None,
    usd_per_month: Annotated[float | None, typer.Option(help="Dollars a month.")] = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="Windows that end now, not at a calendar's line.")
    ] = False,
    time_zone: Annotated[str, _ZONE] = "UTC",
    wait_s: Annotated[float, _WAIT] = 0.0,
    fall_to: Annotated[str, _FALL_TO] = "",
    warn_at: Annotated[list[float] | None, _WARN_AT] = None,
    webhook: Annotated[str, _WEBHOOK] = "",
    uncoordinated: Annotated[str | None, _UNCOORDINATED] = None,
    dry_run: Annotated[bool, _DRY_RUN] = False,
) -> None:
    """Set the limits that are named and keep the others; gateways follow within two seconds."""
    given: dict[str, float | None] = {
        "requests_per_second": requests_per_second,
        "requests_per_minute": requests_per_minute,
        "requests_per_day": requests_per_day,
        "tokens_per_minute": tokens_per_minute,
        "tokens_per_day": tokens_per_day,
        "concurrent_requests": concurrent_requests,
        "usd_per_hour": usd_per_hour,
        "usd_per_day": usd_per_day,
        "usd_per_week": usd_per_week,
        "usd_per_month": usd_per_month,
    }
    named = {name: value for name, value in given.items() if value is not None}
    if not named:
        raise typer.BadParameter(f"name at least one limit: {_flags()}")
    if burst is not None and requests_per_second is None:
        raise typer.BadParameter("--burst goes with --requests-per-second")
    scope = _scope(tenant, key=key, user=user, route=route, model=model, tag=tag)
    rules = [
        _with_policy(
            rule_named(name, value, tenant, scope, id_="", burst=burst),
            is_rolling=rolling,
            time_zone=time_zone,
            wait_s=wait_s,
            fall_to=fall_to,
            warn_at=warn_at or (),
            webhook=webhook,
            uncoordinated=uncoordinated,
            is_dry_run=dry_run,
        )
        for name, value in named.items()
    ]
    _print(_set(rules, time_zone))


@limits_app.command("show")
def show(
    tenant: Annotated[str, typer.Argument(help="The tenant, by its id.")] = DEFAULT_TENANT,
) -> None:
    """Print the limits that hold for a tenant, those of the configuration too."""
    declared = default_rules(load(None, os.environ).config.limits)
    rows = with_database(
        os.environ, lambda engine: show_rules(engine, tenant, declared, by=local_operator())
    )
    if not rows:
        typer.echo(
            f"Nothing limits the tenant '{tenant}'. Set a limit: "
            f"santral limits set {tenant} --tokens-per-day 1000000"
        )
        return
    _print(rows)


@limits_app.command("remove")
def remove(id: Annotated[str, typer.Argument(help="The limit's id, as shown.")]) -> None:
    """Remove a limit; gateways follow within two seconds."""
    rule = with_database(os.environ, lambda engine: remove_rule(engine, id, by=local_operator()))
    typer.echo(f"Removed: {rule.scope.kind} {rule.scope.id}, {amount_text(rule)}.")


@budgets_app.command("set")
def set_budget(
    usd: Annotated[float, typer.Argument(help="US dollars.")],
    per: Annotated[str, typer.Option(help="hour, day, week or month.")] = "month",
    tenant: Annotated[str, _TENANT] = DEFAULT_TENANT,
    key: Annotated[str | None, typer.Option(help="A key of it, by id or prefix.")] = None,
    user: Annotated[str | None, typer.Option(help="A user; `*` is each one.")] = None,
    route: Annotated[str | None, typer.Option(help="A route; `*` is each one.")] = None,
    model: Annotated[str | None, typer.Option(help="A model or deployment.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag, as name=value or name=*.")] = None,
    rolling: Annotated[bool, typer.Option("--rolling", help="A window that ends now.")] = False,
    time_zone: Annotated[str, _ZONE] = "UTC",
    fall_to: Annotated[str, _FALL_TO] = "",
    warn_at: Annotated[list[float] | None, _WARN_AT] = None,
    webhook: Annotated[str, _WEBHOOK] = "",
    uncoordinated: Annotated[str | None, _UNCOORDINATED] = None,
    dry_run: Annotated[bool, _DRY_RUN] = False,
) -> None:
    """Set how many dollars may be spent; callers are warned at 80 and 95 percent unless told else."""
    if f"usd_per_{per}" not in NAMED:
        raise typer.BadParameter("--per is hour, day, week or month")
    scope = _scope(tenant, key=key, user=user, route=route, model=model, tag=tag)
    rule = _with_policy(
        rule_named(f"usd_per_{per}", usd, tenant, scope, id_=""),
        is_rolling=rolling,
        time_zone=time_zone,
        fall_to=fall_to,
        warn_at=warn_at or (0.8, 0.95),
        webhook=webhook,
        uncoordinated=uncoordinated,
        is_dry_run=dry_run,
    )
    _print(_set([rule], time_zone))


def _set(rules: Sequence[Rule], time_zone: str) -> list[KnownRule]:
    if time_zone != "UTC" and all(rule.time_zone == "UTC" for rule in rules):
        raise typer.BadParameter("--time-zone is for days, weeks and months that do not roll")
    made = with_database(
        os.environ,
        lambda engine: set_rules(
            engine, rules, datetime.now(UTC), new_id=_new_id, by=local_operator()
        ),
    )
    return [KnownRule(rule=rule) for rule in made]


def _new_id() -> str:
    return f"lim_{secrets.token_hex(8)}"


def _scope(tenant: str, **named: str | None) -> Scope:
    given: list[tuple[Any, str]] = [(kind, id_) for kind, id_ in named.items() if id_ is not None]
    if len(given) > 1:
        raise typer.BadParameter(
            "a limit binds one scope: name one of --key, --user, --route, --model, --tag"
        )
    kind: ScopeKind = given[0][0] if given else "tenant"
    return Scope(kind, given[0][1] if given else tenant)


def _with_policy(
    rule: Rule,
    *,
    is_rolling: bool = False,
    warn_at: Sequence[float] = (),
    uncoordinated: str | None = None,
    time_zone: str = "UTC",
    **policy: Any,
) -> Rule:
    """Return a rule with what is the same for all; what a window cannot have is left out of it."""
    known: Sequence[Uncoordinated] = ("share", "refuse", "allow")
    found = [word for word in known if word == uncoordinated]
    if uncoordinated is not None and not found:
        raise BadRequest(f"--uncoordinated is {', '.join(known)}.", param="uncoordinated")
    is_rolling = rule.is_rolling or (is_rolling and rule.window not in ("", "second"))
    is_calendar = rule.window not in ("", "second") and not is_rolling
    return replace(
        rule,
        is_rolling=is_rolling,
        time_zone=time_zone if is_calendar else "UTC",
        warn_at=tuple(warn_at),
        uncoordinated=found[0] if found else default_uncoordinated(rule.measure),
        **policy,
    )


def _flags() -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in NAMED)


def _print(rows: Sequence[KnownRule]) -> None:
    print_table(
        ("id", "owner", "binds", "limit", "then"),
        [
            (
                "santral.toml" if row.is_declared else row.rule.id,
                row.rule.tenant_id,
                _binds(row),
                amount_text(row.rule),
                _then(row.rule),
            )
            for row in rows
        ],
    )


def _binds(row: KnownRule) -> str:
    kind, id_ = row.rule.scope
    if kind == "tenant" and id_ == row.rule.tenant_id != EACH:
        return "itself"
    named = f"{row.name} ({id_})" if row.name else id_
    return f"each {kind}" if id_ == EACH else f"{kind} {named}"


def _then(rule: Rule) -> str:
    parts = [
        "dry run" if rule.is_dry_run else "",
        f"burst {rule.burst}" if rule.burst else "",
        f"wait {rule.wait_s:g} s" if rule.wait_s else "",
        f"then {rule.fall_to}" if rule.fall_to else "",
        f"warn at {', '.join(f'{f:.0%}' for f in rule.warn_at)}" if rule.warn_at else "",
    ]
    return "; ".join(part for part in parts if part)

"""``santral tenants`` and ``santral keys``: who may call, and the keys they call with."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from santral.db.session import with_database
from santral.tenants import issue
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT, VirtualKey

tenants_app = typer.Typer(no_args_is_help=True, help="Create and list tenants.")
keys_app = typer.Typer(no_args_is_help=True, help="Create, list and revoke virtual keys.")

TenantOption = Annotated[str, typer.Option("--tenant", "-t", help="The tenant, by its id.")]


@tenants_app.command("create")
def create_tenant(
    id: Annotated[str, typer.Argument(help="Its id: lower-case letters, digits, - and _.")],
    name: Annotated[
        str | None, typer.Option(help="Its name for people; default is the id.")
    ] = None,
) -> None:
    """Make a tenant."""
    made = with_database(os.environ, lambda engine: issue.create_tenant(engine, id, name, _now()))
    typer.echo(
        f"Created the tenant '{made.id}'. Give it a key: santral keys create --tenant {made.id}"
    )


@tenants_app.command("list")
def list_tenants() -> None:
    """Print every tenant."""
    rows = [
        (t.id, t.name, "active" if t.is_active else "off")
        for t in with_database(os.environ, issue.list_tenants)
    ]
    print_table(("tenant", "name", "state"), rows)


@keys_app.command("create")
def create_key(
    tenant: TenantOption = DEFAULT_TENANT,
    name: Annotated[
        str, typer.Option(help="What it is for, e.g. the application.")
    ] = "application",
    route: Annotated[
        list[str] | None, typer.Option(help="Route it may use; repeat for several; default all.")
    ] = None,
    expires_in_days: Annotated[
        float | None, typer.Option(min=0.001, max=36_500, help="When it ends; default never.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May use the admin API.")] = False,
) -> None:
    """Issue a key; its text is printed this once, to standard output alone."""
    now = _now()
    expires_at = None if expires_in_days is None else now + timedelta(days=expires_in_days)
    issued = with_database(
        os.environ,
        lambda engine: issue.create_key(
            engine,
            secrets.token_bytes,
            tenant,
            name,
            now,
            routes=route or None,
            expires_at=expires_at,
            is_admin=admin,
        ),
    )
    typer.echo(
        f"Key '{issued.key.name}' ({issued.key.id}). Keep it: it is shown only now.", err=True
    )
    typer.echo(issued.plaintext)


@keys_app.command("list")
def list_keys(tenant: TenantOption = DEFAULT_TENANT) -> None:
    """Print the keys of a tenant by prefix; their text is not known to anybody but its holder."""
    keys = with_database(os.environ, lambda engine: issue.list_keys(engine, tenant))
    print_table(
        ("id", "prefix", "name", "routes", "admin", "state"), [_row(key, _now()) for key in keys]
    )


@keys_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="Its id or prefix, never its whole text.")],
) -> None:
    """End a key; gateways refuse it within two seconds."""
    ended = with_database(os.environ, lambda engine: issue.revoke_key(engine, key, _now()))
    typer.echo(
        f"Revoked the key '{ended.name}' ({ended.prefix}…) of the tenant '{ended.tenant_id}'."
    )


def _row(key: VirtualKey, now: datetime) -> tuple[str, ...]:
    routes = "all" if key.routes is None else ", ".join(sorted(key.routes))
    cells = (key.id, f"{key.prefix}…", key.name, routes, "yes" if key.is_admin else "")
    return (*cells, key_state(key, now))


def key_state(key: VirtualKey, now: datetime) -> str:
    """Return in a word or two whether the key is in force."""
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "in force"
    return f"{'expired' if key.expires_at <= now else 'until'} {key.expires_at:%Y-%m-%d}"


def _now() -> datetime:
    return datetime.now(UTC)

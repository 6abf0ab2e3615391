"""``santral users``: people, service accounts, and the roles they hold."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from santral.db.session import with_database
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant, role_named
from santral.tenants.table import print_table
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.users import change
from santral.tenants.users.user import User

users_app = typer.Typer(no_args_is_help=True, help="Make users and give them roles.")

UserArgument = Annotated[str, typer.Argument(help="The user, by id or e-mail address.")]
OverOption = Annotated[
    str, typer.Option(help="The tenant over which the role holds, with what is beneath it, or '*'.")
]


@users_app.command("create")
def create_user(
    name: Annotated[str, typer.Argument(help="Their name.")],
    email: Annotated[
        str | None, typer.Option(help="By which single sign-on finds them; a person has one.")
    ] = None,
    service: Annotated[
        bool,
        typer.Option("--service", help="Make a service account: it owns keys, nobody signs in."),
    ] = False,
    role: Annotated[str | None, typer.Option(help="A first role, e.g. viewer.")] = None,
    over: OverOption = EVERYWHERE,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Group whose documents their keys may be answered from; repeatable."),
    ] = None,
) -> None:
    """Make a person or a service account."""
    grant = None if role is None else Grant(role_named(role), TenantId(over))
    made = with_database(
        os.environ,
        lambda engine: change.create_user(
            engine,
            secrets.token_bytes,
            name,
            _now(),
            by=local_operator(),
            email=email,
            kind="service" if service else "person",
            grant=grant,
            groups=group or (),
        ),
    )
    typer.echo(f"Made the user {made.name} ({made.id}). {_held(made)}")


@users_app.command("list")
def list_users() -> None:
    """Print every user with their roles."""
    users = with_database(os.environ, lambda engine: change.list_users(engine, by=local_operator()))
    print_table(
        ("id", "name", "e-mail", "kind", "roles", "state"),
        [
            (u.id, u.name, u.email or "", u.kind, _roles(u), "active" if u.is_active else "off")
            for u in users
        ],
    )


@users_app.command("show")
def show_user(user: UserArgument) -> None:
    """Print a user with every role."""
    found = with_database(
        os.environ, lambda engine: change.show_user(engine, user, by=local_operator())
    )
    signed_in = found.last_login_at
    print_table(
        ("of the user", "value"),
        [
            ("id", found.id),
            ("name", found.name),
            ("e-mail", found.email or "none"),
            ("kind", found.kind),
            ("state", "active" if found.is_active else "off"),
            ("roles", _roles(found) or "none"),
            ("groups", ", ".join(sorted(found.groups)) or "none"),
            ("signed in", "never" if signed_in is None else f"{signed_in:%Y-%m-%d %H:%M UTC}"),
        ],
    )


@users_app.command("disable")
def disable_user(user: UserArgument) -> None:
    """Switch a user off: sessions end, and their keys are refused within two seconds."""
    _switch(user, False)


@users_app.command("enable")
def enable_user(user: UserArgument) -> None:
    """Switch a user on."""
    _switch(user, True)


@users_app.command("groups")
def set_groups(
    user: UserArgument,
    groups: Annotated[
        list[str] | None, typer.Argument(help="The groups, in place of the former; none takes all.")
    ] = None,
) -> None:
    """Set the groups whose documents a user's keys may be answered from."""
    changed = with_database(
        os.environ,
        lambda engine: change.set_groups(engine, user, groups or (), by=local_operator()),
    )
    held = ", ".join(sorted(changed.groups)) or "none"
    typer.echo(f"{changed.name} ({changed.id}). Groups: {held}.")


@users_app.command("grant")
def grant_role(
    user: UserArgument,
    role: Annotated[str, typer.Argument(help="The role, e.g. admin, operator, viewer.")],
    over: OverOption,
) -> None:
    """Give a user a role over a tenant, in place of the one they hold there."""
    grant = Grant(role_named(role), TenantId(over))
    changed = with_database(
        os.environ,
        lambda engine: change.grant_role(engine, user, grant, _now(), by=local_operator()),
    )
    typer.echo(f"{changed.name} ({changed.id}): {_held(changed)}")


@users_app.command("revoke")
def revoke_role(user: UserArgument, over: OverOption) -> None:
    """Take the role that a user holds over a tenant."""
    changed = with_database(
        os.environ,
        lambda engine: change.revoke_role(
            engine, user, TenantId(over), _now(), by=local_operator()
        ),
    )
    typer.echo(f"{changed.name} ({changed.id}): {_held(changed)}")


def _switch(user: str, is_active: bool) -> None:
    switched = with_database(
        os.environ,
        lambda engine: change.switch_user(engine, user, is_active, _now(), by=local_operator()),
    )
    typer.echo(f"The user {switched.name} ({switched.id}) is {'on' if is_active else 'off'} now.")


def _held(user: User) -> str:
    return f"Holds {_roles(user)}." if user.grants else "Holds no role."


def _roles(user: User) -> str:
    return ", ".join(f"{grant.role} over {grant.over}" for grant in user.grants)


def _now() -> datetime:
    return datetime.now(UTC)

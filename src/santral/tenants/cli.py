"""``santral tenants`` and ``santral keys``: who may call, and the keys they call with."""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from santral.db.session import with_database
from santral.errors import BadRequest, nearest
from santral.tenants import issue, organise
from santral.tenants.issue import KeyTerms, KnownKey
from santral.tenants.operator import local_operator
from santral.tenants.organise import TenantLine
from santral.tenants.permission import role_named
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT, VirtualKey

tenants_app = typer.Typer(no_args_is_help=True, help="Make, arrange and delete tenants.")
keys_app = typer.Typer(no_args_is_help=True, help="Issue, change, rotate and revoke virtual keys.")

TenantOption = Annotated[str, typer.Option("--tenant", "-t", help="The tenant, by its id.")]
TenantArgument = Annotated[str, typer.Argument(help="The tenant, by its id.")]
KeyArgument = Annotated[str, typer.Argument(help="Its id or prefix, never its whole text.")]
RouteOption = Annotated[
    list[str] | None, typer.Option(help="Route it may use; repeat for several; default all.")
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(help="Deployment that may answer it; repeat for several; default all."),
]
NetworkOption = Annotated[
    list[str] | None,
    typer.Option(help="Network it may be used from, e.g. 10.0.0.0/8; repeat for several."),
]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option(help="What it may ask for, e.g. embeddings; repeat for several; default all."),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option(help="Group whose documents it may be answered from; repeat for several."),
]
NamesGroupsOption = Annotated[
    bool | None,
    typer.Option(
        "--names-groups/--no-names-groups",
        help="Whether its requests say whose groups, in place of its own.",
    ),
]
ExpiryOption = Annotated[
    float | None, typer.Option(min=0.001, max=36_500, help="When it ends; default never.")
]
RoleOption = Annotated[
    str | None, typer.Option(help="What it may administer, e.g. viewer; default nothing.")
]
OverOption = Annotated[
    str | None,
    typer.Option(help="The tenant over which its role holds, or '*'; default its own tenant."),
]
OwnerOption = Annotated[
    str | None, typer.Option(help="The user whose key it is, by id or e-mail address.")
]

#: What ``keys update --unset`` takes away, and the terms that it stands for.
_UNSET_NAMES = {
    "routes": ("routes",),
    "models": ("models",),
    "networks": ("networks",),
    "scopes": ("scopes",),
    "groups": ("groups",),
    "expiry": ("expires_at",),
    "role": ("role",),
    "owner": ("owner",),
}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@tenants_app.command("create")
def create_tenant(
    id: Annotated[str, typer.Argument(help="Its id: lower-case letters, digits, - and _.")],
    name: Annotated[
        str | None, typer.Option(help="Its name for people; default is the id.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="The tenant that it is a part of: a team's organisation.")
    ] = None,
) -> None:
    """Make a tenant."""
    made = with_database(
        os.environ,
        lambda engine: organise.create_tenant(
            engine, id, name, _now(), by=local_operator(), parent=parent
        ),
    )
    typer.echo(
        f"Created the tenant '{made.id}'. Give it a key: santral keys create --tenant {made.id}"
    )


@tenants_app.command("list")
def list_tenants() -> None:
    """Print every tenant as a tree."""
    _print_tree(
        with_database(os.environ, lambda engine: organise.list_tenants(engine, by=local_operator()))
    )


@tenants_app.command("show")
def show_tenant(tenant: TenantArgument) -> None:
    """Print a tenant and everything beneath it."""
    _print_tree(
        with_database(
            os.environ, lambda engine: organise.show_tenant(engine, tenant, by=local_operator())
        )
    )


@tenants_app.command("rename")
def rename_tenant(
    tenant: TenantArgument, name: Annotated[str, typer.Argument(help="Its new name.")]
) -> None:
    """Give a tenant another name; its id stays."""
    renamed = with_database(
        os.environ,
        lambda engine: organise.rename_tenant(engine, tenant, name, by=local_operator()),
    )
    typer.echo(f"The tenant '{renamed.id}' is called {renamed.name} now.")


@tenants_app.command("on")
def switch_tenant_on(tenant: TenantArgument) -> None:
    """Switch a tenant on."""
    _switch(tenant, True)


@tenants_app.command("off")
def switch_tenant_off(tenant: TenantArgument) -> None:
    """Switch a tenant off, with everything beneath it: their keys are refused within two seconds."""
    _switch(tenant, False)


@tenants_app.command("move")
def move_tenant(
    tenant: TenantArgument,
    parent: Annotated[
        str | None, typer.Option(help="The tenant to become a part of; default none.")
    ] = None,
) -> None:
    """Make a tenant a part of another one; what is beneath it comes along."""
    moved = with_database(
        os.environ,
        lambda engine: organise.move_tenant(engine, tenant, parent, _now(), by=local_operator()),
    )
    where = f"a part of '{moved.parent_id}'" if moved.parent_id else "on its own"
    typer.echo(f"The tenant '{moved.id}' is {where} now.")


@tenants_app.command("delete")
def delete_tenant(
    tenant: TenantArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Also when something goes with it or stays behind.")
    ] = False,
) -> None:
    """Delete a tenant with everything beneath it; what it spent stays in the ledger."""
    gone = with_database(
        os.environ,
        lambda engine: organise.delete_tenant(
            engine, tenant, _now(), by=local_operator(), is_forced=force
        ),
    )
    with_it = gone.says()
    typer.echo(f"Deleted the tenant '{tenant}'" + (f": this {with_it}." if with_it else "."))


@keys_app.command("create")
def create_key(
    tenant: TenantOption = DEFAULT_TENANT,
    name: Annotated[
        str, typer.Option(help="What it is for, e.g. the application.")
    ] = "application",
    route: RouteOption = None,
    model: ModelOption = None,
    network: NetworkOption = None,
    scope: ScopeOption = None,
    group: GroupOption = None,
    names_groups: NamesGroupsOption = None,
    expires_in_days: ExpiryOption = None,
    role: RoleOption = None,
    over: OverOption = None,
    owner: OwnerOption = None,
) -> None:
    """Issue a key; its text is printed this once, to standard output alone."""
    now = _now()
    terms = _terms(
        route, model, network, scope, expires_in_days, role, over, owner, now=now, group=group,
        names_groups=names_groups,
    )  # fmt: skip
    issued = with_database(
        os.environ,
        lambda engine: issue.create_key(
            engine, secrets.token_bytes, tenant, name, now, by=local_operator(), terms=terms
        ),
    )
    typer.echo(
        f"Key '{issued.key.name}' ({issued.key.id}). Keep it: it is shown only now.", err=True
    )
    typer.echo(issued.plaintext)


@keys_app.command("list")
def list_keys(tenant: TenantOption = DEFAULT_TENANT) -> None:
    """Print the keys of a tenant by prefix; their text is not known to anybody but its holder."""
    now = _now()
    keys = with_database(
        os.environ, lambda engine: issue.list_keys(engine, tenant, now, by=local_operator())
    )
    print_table(
        ("id", "prefix", "name", "routes", "role", "last used", "state"),
        [_row(known, now) for known in keys],
    )


@keys_app.command("show")
def show_key(key: KeyArgument) -> None:
    """Print everything about a key but its text."""
    now = _now()
    known = with_database(
        os.environ, lambda engine: issue.show_key(engine, key, now, by=local_operator())
    )
    print_table(("of the key", "value"), _details(known, now))


@keys_app.command("update")
def update_key(
    key: KeyArgument,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    route: RouteOption = None,
    model: ModelOption = None,
    network: NetworkOption = None,
    scope: ScopeOption = None,
    group: GroupOption = None,
    names_groups: NamesGroupsOption = None,
    expires_in_days: ExpiryOption = None,
    role: RoleOption = None,
    over: OverOption = None,
    owner: OwnerOption = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(help=f"Bound to take away: {', '.join(_UNSET_NAMES)}; repeat for several."),
    ] = None,
) -> None:
    """Change what a key is for; gateways follow within two seconds."""
    now = _now()
    terms = _terms(
        route, model, network, scope, expires_in_days, role, over, owner, now=now, name=name,
        unset=unset or (), group=group, names_groups=names_groups,
    )  # fmt: skip
    changed = with_database(
        os.environ,
        lambda engine: issue.update_key(engine, key, terms, now, by=local_operator()),
    )
    print_table(("of the key", "value"), _details(KnownKey(changed, None), now))


@keys_app.command("rotate")
def rotate_key(
    key: KeyArgument,
    overlap: Annotated[
        str,
        typer.Option(help="How long the former text goes on, e.g. 24h; default is not at all."),
    ] = "0s",
) -> None:
    """Give a key a new text, printed this once; limits, spend and traces stay with the key."""
    lasts = _duration(overlap)
    issued = with_database(
        os.environ,
        lambda engine: issue.rotate_key(
            engine, secrets.token_bytes, key, _now(), by=local_operator(), overlap=lasts
        ),
    )
    until = issued.key.previous_expires_at
    former = "ended" if until is None else f"works until {until:%Y-%m-%d %H:%M UTC}"
    typer.echo(
        f"Key '{issued.key.name}' ({issued.key.id}). Its former text {former}. Keep the new one: it "
        "is shown only now.",
        err=True,
    )
    typer.echo(issued.plaintext)


@keys_app.command("revoke")
def revoke_key(key: KeyArgument) -> None:
    """End a key; gateways refuse it within two seconds."""
    ended = with_database(
        os.environ, lambda engine: issue.revoke_key(engine, key, _now(), by=local_operator())
    )
    typer.echo(
        f"Revoked the key '{ended.name}' ({ended.prefix}…) of the tenant '{ended.tenant_id}'."
    )


def key_state(key: VirtualKey, now: datetime) -> str:
    """Return in a word or two whether the key is in force."""
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is not None:
        return f"{'expired' if key.expires_at <= now else 'until'} {key.expires_at:%Y-%m-%d}"
    return "in force" if key.is_user_active else "owner is off"


def _switch(tenant: str, is_active: bool) -> None:
    switched = with_database(
        os.environ,
        lambda engine: organise.switch_tenant(
            engine, tenant, is_active, _now(), by=local_operator()
        ),
    )
    typer.echo(f"The tenant '{switched.id}' is {'on' if is_active else 'off'} now.")


def _print_tree(lines: list[TenantLine]) -> None:
    rows = [
        ("  " * line.depth + line.tenant.id, line.tenant.name, _tenant_state(line))
        for line in lines
    ]
    print_table(("tenant", "name", "state"), rows)


def _tenant_state(line: TenantLine) -> str:
    if not line.tenant.is_active:
        return "off"
    return "active" if line.is_in_force else "off above"


def _terms(
    route: list[str] | None,
    model: list[str] | None,
    network: list[str] | None,
    scope: list[str] | None,
    expires_in_days: float | None,
    role: str | None,
    over: str | None,
    owner: str | None,
    *,
    now: datetime,
    name: str | None = None,
    unset: list[str] | tuple[()] = (),
    group: list[str] | None = None,
    names_groups: bool | None = None,
) -> KeyTerms:
    days = expires_in_days
    given: dict[str, Any] = {
        "name": name,
        "routes": route or None,
        "models": model or None,
        "networks": network or None,
        "scopes": scope or None,
        "groups": group or None,
        "names_groups": names_groups,
        "expires_at": None if days is None else now + timedelta(days=days),
        "role": None if role is None else role_named(role),
        "role_over": over,
        "owner": owner,
    }
    set_: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    for word in unset:
        if word not in _UNSET_NAMES:
            raise BadRequest(
                f"--unset takes {', '.join(_UNSET_NAMES)}, not {word[:64]!r}."
                f"{nearest(word[:64], _UNSET_NAMES)}"
            )
        if any(field in set_ for field in _UNSET_NAMES[word]):
            raise BadRequest(f"{word} cannot be set and unset at once.")
        set_ |= dict.fromkeys(_UNSET_NAMES[word])
    return KeyTerms(**set_)


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"--overlap is {text[:64]!r}. Write it as 30m, 24h or 7d.")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def _row(known: KnownKey, now: datetime) -> tuple[str, ...]:
    key = known.key
    used = "" if known.last_used_at is None else f"{known.last_used_at:%Y-%m-%d %H:%M}"
    cells = (key.id, f"{key.prefix}…", key.name, _all_or(key.routes), _role(key), used)
    return (*cells, key_state(key, now))


def _details(known: KnownKey, now: datetime) -> list[tuple[str, str]]:
    key = known.key
    former = key.previous_expires_at
    overlap = (
        [] if former is None else [("former text", f"{key.previous_prefix}… {_until(former, now)}")]
    )
    used = known.last_used_at
    return [
        ("id", key.id),
        ("name", key.name),
        ("tenant", key.tenant_id),
        ("prefix", f"{key.prefix}…"),
        *overlap,
        ("state", key_state(key, now)),
        ("routes", _all_or(key.routes)),
        ("models", _all_or(key.models)),
        ("networks", "any" if key.networks is None else ", ".join(key.networks)),
        ("scopes", _all_or(key.scopes)),
        ("groups", _groups(key)),
        ("role", _role(key) or "none"),
        ("owner", key.user_id or "nobody"),
        ("created", "" if key.created_at is None else f"{key.created_at:%Y-%m-%d %H:%M UTC}"),
        ("last used", "not known" if used is None else f"{used:%Y-%m-%d %H:%M UTC}"),
    ]


def _groups(key: VirtualKey) -> str:
    held = ", ".join(sorted(key.held_groups)) or "none"
    return f"{held}; each request may name its own" if key.names_groups else held


def _role(key: VirtualKey) -> str:
    return "" if key.role is None else f"{key.role} over {key.role_over or key.tenant_id}"


def _all_or(names: frozenset[Any] | None) -> str:
    return "all" if names is None else ", ".join(sorted(names))


def _until(moment: datetime, now: datetime) -> str:
    return f"{'until' if moment > now else 'ended'} {moment:%Y-%m-%d %H:%M UTC}"


def _now() -> datetime:
    return datetime.now(UTC)

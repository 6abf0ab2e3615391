"""Make users, switch them off, give and take their roles: for command line, admin API and sign-in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, NotAllowed, NotFound
from santral.tenants import store as tenant_store
from santral.tenants.group import checked_groups
from santral.tenants.key import RandomBytes
from santral.tenants.name import checked_name
from santral.tenants.permission import Action, Grant, Principal, Role, unknown_tenant
from santral.tenants.tenant import EVERYWHERE, TenantId, UserId
from santral.tenants.users import store
from santral.tenants.users.last_owner import keeping_an_owner
from santral.tenants.users.user import Kind, User, checked_email


async def create_user(
    engine: Engine,
    rng: RandomBytes,
    name: str,
    now: datetime,
    *,
    by: Principal,
    email: str | None = None,
    kind: Kind = "person",
    grant: Grant | None = None,
    groups: Iterable[str] = (),
) -> User:
    """Make a user, with a first role if ``grant`` says one.

    Raises:
        BadRequest: the name or address cannot be used, or the address is taken.
        NotFound: the role is over no tenant that ``by`` knows.
        NotAllowed: the role is above that of ``by``, or is missing: only an administrator of the
            whole installation makes users without one.
    """
    if grant is None:
        by.require("users.write", EVERYWHERE)
    else:
        _check_grant(by, grant)
    made = User(
        id=UserId(f"usr_{rng(8).hex()}"),
        kind=kind,
        name=checked_name(name),
        email=None if email is None else checked_email(email),
        groups=checked_groups(groups),
    )
    if kind == "person" and made.email is None:
        raise BadRequest(
            "A person needs an e-mail address: single sign-on finds them by it. For an application "
            "make a service account (--service).",
            param="email",
        )
    async with writing(engine) as conn:
        if not await store.insert_user(conn, made, now):
            raise BadRequest(
                f"There is a user with the address {made.email} already. Give them a role: "
                f"santral users grant {made.email} ROLE --over TENANT",
                param="email",
            )
        after: dict[str, Any] = {"kind": kind, "name": made.name, "email": made.email}
        if made.groups:
            after["groups"] = sorted(made.groups)
        where = EVERYWHERE if grant is None else grant.over
        object_ = f"user:{made.id}"
        await note(conn, by.actor, "users.create", object_, tenant_id=where, after=after)
        if grant is not None:
            await _put(conn, by, made.id, grant, now)
        return await known_user(conn, made.id, by=by)


async def list_users(engine: Engine, *, by: Principal) -> list[User]:
    """Return the users whom ``by`` may see, by name, with the roles that it may see."""
    visible = by.tenants("users.read")
    async with reading(engine) as conn:
        found = await store.list_users(conn)
        shown = [user for user in found if await _is_visible(conn, user, visible)]
    return [_as_seen(user, visible) for user in shown]


async def show_user(engine: Engine, reference: str, *, by: Principal) -> User:
    """Return the user with this id or e-mail address.

    Raises:
        NotFound: no such user, or none whom ``by`` may see.
    """
    async with reading(engine) as conn:
        user = await known_user(conn, reference, by=by)
    return _as_seen(user, by.tenants("users.read"))


async def switch_user(
    engine: Engine, reference: str, is_active: bool, now: datetime, *, by: Principal
) -> User:
    """Switch a user on or off: sessions end and their keys are refused while they are off.

    Raises:
        NotFound: no such user, or none whom ``by`` may see.
        NotAllowed: they hold a role above that of ``by``, or one elsewhere.
        Conflict: they are the last owner.
    """
    async with writing(engine) as conn:
        await bump_revision(conn)
        user = await known_user(conn, reference, by=by, action="users.write")
        await _require_over(conn, by, user)
        async with keeping_an_owner(conn, now):
            await store.update_user(conn, user.id, {"is_active": is_active})
        action = "users.enable" if is_active else "users.disable"
        if user.is_active != is_active:
            await _note(conn, by, action, user, {"is_active": user.is_active, "name": user.name})
        return await known_user(conn, user.id, by=by)


async def set_groups(
    engine: Engine, reference: str, groups: Iterable[str], *, by: Principal
) -> User:
    """Set the groups whose documents a user's keys may be answered from, in place of the former ones.

    Raises:
        NotFound: no such user, or none whom ``by`` may see.
        NotAllowed: they hold a role above that of ``by``, or one elsewhere.
        BadRequest: a group has a name that cannot be one.
    """
    wanted = checked_groups(groups)
    async with writing(engine) as conn:
        user = await known_user(conn, reference, by=by, action="users.write")
        await _require_over(conn, by, user)
        if wanted != user.groups:
            await store.update_user(conn, user.id, {"groups": sorted(wanted)})
            where = user.grants[0].over if len(user.grants) == 1 else EVERYWHERE
            await note(
                conn,
                by.actor,
                "users.groups",
                f"user:{user.id}",
                tenant_id=where,
                before={"groups": sorted(user.groups)},
                after={"groups": sorted(wanted)},
            )
        return _as_seen(replace(user, groups=wanted), by.tenants("users.read"))


async def grant_role(
    engine: Engine, reference: str, grant: Grant, now: datetime, *, by: Principal
) -> User:
    """Give a user a role over a tenant, in place of the one they hold there.

    A user of other tenants can be named by their whole e-mail address.

    Raises:
        NotFound: no such user or tenant.
        NotAllowed: the role, or the one it replaces, is above that of ``by``.
        Conflict: the last owner would be gone.
    """
    _check_grant(by, grant)
    async with writing(engine) as conn:
        await bump_revision(conn)
        user = await store.find_user(conn, reference)
        if user is None or not ("@" in reference or await _may_see(conn, user, by, "users.write")):
            raise _unknown_user(reference)
        async with keeping_an_owner(conn, now):
            await _put(conn, by, user.id, grant, now)
        return _as_seen(await known_user(conn, user.id, by=by), by.tenants("users.read"))


async def revoke_role(
    engine: Engine, reference: str, over: TenantId, now: datetime, *, by: Principal
) -> User:
    """Take the role that a user holds over a tenant.

    Raises:
        NotFound: no such user, or no role of theirs there.
        NotAllowed: the role is above that of ``by``.
        Conflict: the last owner would be gone.
    """
    by.require("users.write", over)
    async with writing(engine) as conn:
        await bump_revision(conn)
        user = await known_user(conn, reference, by=by, action="users.write")
        held = next((grant for grant in user.grants if grant.over == over), None)
        if held is None:
            raise NotFound(
                f"The user {reference[:64]!r} holds no role over '{over}'. See: santral users show "
                f"{user.id}"
            )
        by.require_grant(held.role, over)
        async with keeping_an_owner(conn, now):
            await store.delete_grant(conn, over, user.id)
        before = {"role": held.role, "over": over}
        await note(conn, by.actor, "users.revoke", f"user:{user.id}", tenant_id=over, before=before)
        left = tuple(grant for grant in user.grants if grant.over != over)
        return _as_seen(replace(user, grants=left), by.tenants("users.read"))


async def known_user(
    conn: Connection, reference: str, *, by: Principal, action: Action = "users.read"
) -> User:
    """Return the user with this id or e-mail address, where ``by`` may do ``action`` to them.

    Raises:
        NotFound: no such user, or none whom ``by`` may see.
    """
    user = await store.find_user(conn, reference)
    if user is None or not await _may_see(conn, user, by, action):
        raise _unknown_user(reference)
    return user


async def load_principal(conn: Connection, user_id: UserId, origin: str) -> Principal:
    """Return who a signed-in user is: their roles at this moment.

    Raises:
        NotAllowed: they are switched off or gone, or hold no role.
    """
    user = await store.find_user(conn, user_id)
    if user is None or not user.is_active:
        raise NotAllowed("Your account is switched off. Ask an administrator.")
    if not user.grants:
        raise NotAllowed("You hold no role here yet. Ask an administrator for one.")
    tree = await tenant_store.load_tree(conn)
    return Principal(name=f"user:{user.id}", origin=origin, grants=user.grants, tree=tree)


def _check_grant(by: Principal, grant: Grant) -> None:
    by.require("users.write", grant.over)
    by.require_grant(grant.role, grant.over)


async def _put(
    conn: Connection, by: Principal, user_id: UserId, grant: Grant, now: datetime
) -> None:
    if grant.over != EVERYWHERE and await tenant_store.find_tenant(conn, grant.over) is None:
        raise unknown_tenant(grant.over, by.tenants() or ())
    held: dict[TenantId, Role] = {g.over: g.role for g in await store.grants_of(conn, user_id)}
    replaced = held.get(grant.over)
    if replaced is not None:
        by.require_grant(replaced, grant.over)
    if replaced == grant.role:
        return
    await store.put_grant(conn, grant.over, user_id, grant.role, now)
    await note(
        conn,
        by.actor,
        "users.grant",
        f"user:{user_id}",
        tenant_id=grant.over,
        before=None if replaced is None else {"role": replaced, "over": grant.over},
        after={"role": grant.role, "over": grant.over},
    )


async def _require_over(conn: Connection, by: Principal, user: User) -> None:
    """Raise unless ``by`` could take every role of the user, and stands over all their keys."""
    for grant in user.grants:
        if grant.over != EVERYWHERE and not by.may("users.write", grant.over):
            raise _belongs_elsewhere()
        by.require_grant(grant.role, grant.over)
    for tenant in await store.tenants_with_keys(conn, user.id):
        if not by.may("users.write", tenant):
            raise _belongs_elsewhere()


def _belongs_elsewhere() -> NotAllowed:
    return NotAllowed(
        "This user has roles or keys outside of what you administer. Take their roles here instead: "
        "santral users revoke",
        code="role_above_own",
    )


async def _may_see(conn: Connection, user: User, by: Principal, action: Action) -> bool:
    return by.name == f"user:{user.id}" or await _is_visible(conn, user, by.tenants(action))


async def _is_visible(conn: Connection, user: User, visible: frozenset[TenantId] | None) -> bool:
    if visible is None or any(grant.over in visible for grant in user.grants):
        return True
    return not visible.isdisjoint(await store.tenants_with_keys(conn, user.id))


def _as_seen(user: User, visible: frozenset[TenantId] | None) -> User:
    if visible is None:
        return user
    return replace(user, grants=tuple(grant for grant in user.grants if grant.over in visible))


async def _note(
    conn: Connection, by: Principal, action: str, user: User, before: dict[str, Any]
) -> None:
    where = user.grants[0].over if len(user.grants) == 1 else EVERYWHERE
    await note(conn, by.actor, action, f"user:{user.id}", tenant_id=where, before=before)


def _unknown_user(reference: str) -> NotFound:
    return NotFound(f"There is no user {reference[:64]!r}. List them with: santral users list")

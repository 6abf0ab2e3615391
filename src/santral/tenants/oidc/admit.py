"""From a person of the OpenID provider to a user of ours, with the roles that their groups give."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from santral.audit.note import Actor, note
from santral.config.sso import SsoConfig
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import NotAllowed
from santral.tenants import store as tenant_store
from santral.tenants.key import RandomBytes
from santral.tenants.oidc import store
from santral.tenants.oidc.identity import Identity, roles_of
from santral.tenants.oidc.store import Person
from santral.tenants.permission import Principal, Role
from santral.tenants.tenant import EVERYWHERE, TenantId, UserId
from santral.tenants.users.change import load_principal
from santral.tenants.users.last_owner import keeping_an_owner
from santral.tenants.users.store import delete_grant, grants_of, put_grant


async def admit(
    engine: Engine,
    rng: RandomBytes,
    identity: Identity,
    settings: SsoConfig,
    now: datetime,
    origin: str,
) -> UserId:
    """Return the user that this person is, now that they sign in; all of it happens, or nothing.

    Who is not known by the provider's name for them is found by e-mail address, if an administrator
    added it, or is made new, if the settings take newcomers in.

    Raises:
        NotAllowed: not known, switched off, or without any role.
        Conflict: their groups take the role of the last owner.
    """
    actor = Actor("system", origin)
    async with writing(engine) as conn:
        await bump_revision(conn)
        found = await store.find_by_subject(conn, identity.issuer, identity.subject)
        person = found or await _known_by_email(conn, identity)
        person = person or await _newcomer(conn, rng, identity, settings, now, actor)
        if not person.is_active:
            raise _refusal("Your account is switched off. Ask an administrator.")
        await _keep_up(conn, person, identity, now)
        await _follow_document_groups(conn, person.id, identity, actor)
        async with keeping_an_owner(conn, now):
            await _follow_groups(conn, person.id, identity, settings, now, actor)
        if not await grants_of(conn, person.id):
            raise _refusal(
                f"{identity.email or identity.name} holds no role here yet. Ask an administrator for "
                f"one: santral users grant {identity.email or person.id} viewer --over TENANT, or map "
                "one of your groups in sso.roles."
            )
    return person.id


async def recognise(engine: Engine, identity: Identity, origin: str) -> Principal:
    """Return who sends a token of the provider to the admin API; nothing is changed by that.

    Raises:
        NotAllowed: they never signed in to the console, are switched off, or hold no role.
    """
    async with reading(engine) as conn:
        person = await store.find_by_subject(conn, identity.issuer, identity.subject)
        if person is None:
            raise _refusal(
                "This person of the OpenID provider is not known here. Sign in to the console once: "
                "that takes over name, address and roles."
            )
        return await load_principal(conn, person.id, origin)


async def _known_by_email(conn: Connection, identity: Identity) -> Person | None:
    """Return the user whom an administrator added with this address, tied to the provider from now on."""
    if not identity.email:
        return None
    person = await store.find_by_email(conn, identity.email)
    if person is None:
        return None
    if person.subject is not None or person.kind != "person":
        raise _refusal(
            f"The address {identity.email} belongs to another account here, under another name at the "
            "provider. Ask an administrator."
        )
    changes = {"issuer": identity.issuer, "subject": identity.subject}
    await store.update_person(conn, person.id, changes)
    return replace(person, **changes)


async def _newcomer(
    conn: Connection,
    rng: RandomBytes,
    identity: Identity,
    settings: SsoConfig,
    now: datetime,
    actor: Actor,
) -> Person:
    if settings.newcomers is None:
        who = identity.email or identity.subject
        raise _refusal(
            f"{who} is not known here. Ask an administrator to add you: santral users create "
            f"--email {identity.email or 'ADDRESS'}, or to take newcomers in: [sso.newcomers]."
        )
    person = Person(
        id=UserId(f"usr_{rng(8).hex()}"),
        kind="person",
        name=identity.name,
        email=identity.email or None,
        issuer=identity.issuer,
        subject=identity.subject,
        is_active=True,
    )
    await store.insert_person(conn, person, now)
    after = {"kind": "person", "name": person.name, "email": person.email}
    object_ = f"user:{person.id}"
    await note(conn, actor, "users.create", object_, tenant_id=EVERYWHERE, after=after)
    if settings.newcomers.role is not None:
        over = TenantId(settings.newcomers.tenant)
        await _set_role(conn, person.id, over, settings.newcomers.role, now, actor)
    return person


async def _keep_up(conn: Connection, person: Person, identity: Identity, now: datetime) -> None:
    """Take over a name or address that changed at the provider; an address of somebody else is not."""
    changes: dict[str, object] = {"last_login_at": now, "name": identity.name}
    is_new = bool(identity.email) and identity.email != person.email
    if is_new and await store.find_by_email(conn, identity.email) is None:
        changes["email"] = identity.email
    await store.update_person(conn, person.id, changes)


async def _follow_document_groups(
    conn: Connection, user_id: UserId, identity: Identity, actor: Actor
) -> None:
    """Hold exactly the groups of documents that the provider says, where it is asked for them."""
    wanted = identity.document_groups
    if wanted is None:
        return
    held = await store.groups_of(conn, user_id)
    if held == wanted:
        return
    await store.update_person(conn, user_id, {"groups": sorted(wanted)})
    await note(
        conn,
        actor,
        "users.groups",
        f"user:{user_id}",
        tenant_id=EVERYWHERE,
        before={"groups": sorted(held)},
        after={"groups": sorted(wanted)},
    )


async def _follow_groups(
    conn: Connection,
    user_id: UserId,
    identity: Identity,
    settings: SsoConfig,
    now: datetime,
    actor: Actor,
) -> None:
    """Hold exactly the roles that the groups give, over every tenant that the mapping names."""
    for over, role in sorted(roles_of(identity, settings).items()):
        if over == EVERYWHERE or await tenant_store.find_tenant(conn, TenantId(over)) is not None:
            await _set_role(conn, user_id, TenantId(over), role, now, actor)


async def _set_role(
    conn: Connection,
    user_id: UserId,
    over: TenantId,
    role: Role | None,
    now: datetime,
    actor: Actor,
) -> None:
    held = {grant.over: grant.role for grant in await grants_of(conn, user_id)}.get(over)
    if held == role:
        return
    if role is None:
        await delete_grant(conn, over, user_id)
    else:
        await put_grant(conn, over, user_id, role, now)
    await note(
        conn,
        actor,
        "users.revoke" if role is None else "users.grant",
        f"user:{user_id}",
        tenant_id=over,
        before=None if held is None else {"role": held, "over": over},
        after=None if role is None else {"role": role, "over": over},
    )


def _refusal(message: str) -> NotAllowed:
    return NotAllowed(message, code="person_not_allowed")

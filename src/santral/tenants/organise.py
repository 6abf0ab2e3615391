"""Make, move, switch and delete tenants: the same for command line, admin API and console."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, Conflict, NotFound
from santral.tenants import store
from santral.tenants.name import checked_name
from santral.tenants.permission import Action, Principal, unknown_tenant
from santral.tenants.tenant import EVERYWHERE, Tenant, TenantId, tenant_id
from santral.tenants.tree import MAX_DEPTH, TenantTree
from santral.tenants.users.last_owner import keeping_an_owner
from santral.tenants.users.store import delete_grants_over

#: A key used so lately may have requests under way: the ledger knows them when they are over. Chosen.
LATELY = timedelta(minutes=10)


class TenantLine(Struct, frozen=True):
    """A tenant in a tree, as deep as it stands; off when one above it is."""

    tenant: Tenant
    depth: int
    is_in_force: bool


class Remains(Struct, frozen=True, kw_only=True):
    """What a deletion takes with it, and what it leaves."""

    tenants: tuple[TenantId, ...]  # itself first, then what is beneath it
    keys: int = 0  # in force
    busy_keys: int = 0  # of them, used lately
    ledger_rows: int = 0
    cost_nanousd: int = 0
    documents: int = 0

    def says(self) -> str:
        """Return what will happen, as parts of a sentence."""
        below = self.tenants[1:]
        said = [
            (len(below), f"deletes {_count(len(below), 'tenant')} beneath it ({_some(below)})"),
            (self.keys, f"ends {_count(self.keys, 'key')}"),
            (
                self.busy_keys,
                f"cuts off requests that may be running ({_count(self.busy_keys, 'key')} used in "
                f"the last {LATELY.seconds // 60} minutes)",
            ),
            (
                self.ledger_rows,
                f"leaves a balance of {self.cost_nanousd / 1e9:.6f} USD in "
                f"{_count(self.ledger_rows, 'row')} of the ledger, which stay",
            ),
            (self.documents, f"leaves {_count(self.documents, 'document')} that nobody searches"),
        ]
        return ", ".join(text for number, text in said if number)


async def create_tenant(
    engine: Engine,
    id_: str,
    name: str | None,
    now: datetime,
    *,
    by: Principal,
    parent: str | None = None,
) -> Tenant:
    """Make a tenant, as a part of ``parent`` or on its own.

    Raises:
        BadRequest: the id or the name cannot be used, the id is taken, or the tree would be too deep.
        NotFound: no such parent.
    """
    above = None if parent is None else TenantId(parent)
    by.require("tenants.write", above or EVERYWHERE)
    made = Tenant(tenant_id(id_), checked_name(id_ if name is None else name), True, above)
    async with writing(engine) as conn:
        await bump_revision(conn)  # one change of the tree after the other
        if above is not None:
            await known_tenant(conn, above)
            _bounded(len((await store.load_tree(conn)).path(above)) + 1)
        if not await store.insert_tenant(conn, made.id, made.name, now, above):
            raise BadRequest(
                f"The id '{id_}' is taken, and the id of a deleted tenant stays so. Choose another.",
                param="id",
            )
        after = {"name": made.name, "parent_id": above}
        await note(conn, by.actor, "tenants.create", f"tenant:{id_}", tenant_id=id_, after=after)
    return made


async def rename_tenant(engine: Engine, id_: str, name: str, *, by: Principal) -> Tenant:
    """Give a tenant another name; its id stays.

    Raises:
        NotFound: no such tenant.
        BadRequest: the name cannot be used.
    """
    by.require("tenants.write", TenantId(id_))
    plain = checked_name(name)
    async with writing(engine) as conn:
        before = await known_tenant(conn, id_)
        return await _change(conn, by, "tenants.rename", before, {"name": plain})


async def switch_tenant(
    engine: Engine, id_: str, is_active: bool, now: datetime, *, by: Principal
) -> Tenant:
    """Switch a tenant on or off, and with it what is beneath; gateways follow within two seconds.

    Who may do it stands above the tenant: it is no choice of its own administrators.

    Raises:
        NotFound: no such tenant.
        Conflict: the last owner's key would go with it.
    """
    async with writing(engine) as conn:
        await bump_revision(conn)
        before = await _tenant_from_above(conn, by, id_)
        await _require_over_keys(conn, by, before.id)
        async with keeping_an_owner(conn, now):
            action = "tenants.switch_on" if is_active else "tenants.switch_off"
            return await _change(conn, by, action, before, {"is_active": is_active})


async def move_tenant(
    engine: Engine, id_: str, parent: str | None, now: datetime, *, by: Principal
) -> Tenant:
    """Make a tenant a part of ``parent``, or of nobody; what is beneath it comes along.

    Raises:
        NotFound: no such tenant or parent.
        BadRequest: the parent is beneath the tenant, or the tree would be too deep.
    """
    above = None if parent is None else TenantId(parent)
    by.require("tenants.write", above or EVERYWHERE)
    async with writing(engine) as conn:
        await bump_revision(conn)
        before = await _tenant_from_above(conn, by, id_)
        await _require_over_keys(conn, by, before.id)
        tree = await _living_tree(conn)
        if above is not None:
            await known_tenant(conn, above)
            if tree.is_within(above, before.id):
                raise BadRequest(
                    f"The tenant '{above}' is '{id_}' or beneath it. Choose a parent outside of it.",
                    param="parent",
                )
            _bounded(len(tree.path(above)) + _height(tree, before.id))
        async with keeping_an_owner(conn, now):
            return await _change(conn, by, "tenants.move", before, {"parent_id": above})


async def delete_tenant(
    engine: Engine, id_: str, now: datetime, *, by: Principal, is_forced: bool = False
) -> Remains:
    """Delete a tenant with what is beneath it: keys end, roles over it go, the ledger stays.

    Raises:
        NotFound: no such tenant.
        Conflict: something would go with it or stay behind, and ``is_forced`` is not said; or the
            last owner's key would go.
    """
    async with writing(engine) as conn:
        await bump_revision(conn)
        await _tenant_from_above(conn, by, id_)
        await _require_over_keys(conn, by, TenantId(id_))
        remains = await _remains(conn, TenantId(id_), now)
        if remains.says() and not is_forced:
            raise Conflict(
                f"Deleting the tenant '{id_}' {remains.says()}. Its id is never used again. "
                "Say --force (force=true in the admin API) to do it.",
                code="needs_force",
            )
        async with keeping_an_owner(conn, now):
            for tenant in remains.tenants:
                await _delete_one(conn, tenant, now)
        after = {"tenants": list(remains.tenants), "keys": remains.keys, "forced": is_forced}
        await note(conn, by.actor, "tenants.delete", f"tenant:{id_}", tenant_id=id_, after=after)
    return remains


async def list_tenants(engine: Engine, *, by: Principal) -> list[TenantLine]:
    """Return the tenants that ``by`` may see, as a tree: each is followed by its parts."""
    async with reading(engine) as conn:
        found = await store.list_tenants(conn)
    visible = by.tenants("tenants.read")
    return _lines([t for t in found if visible is None or t.id in visible], found)


async def show_tenant(engine: Engine, id_: str, *, by: Principal) -> list[TenantLine]:
    """Return a tenant, followed by everything beneath it.

    Raises:
        NotFound: no such tenant.
    """
    by.require("tenants.read", TenantId(id_))
    async with reading(engine) as conn:
        await known_tenant(conn, id_)
        found = await store.list_tenants(conn)
        tree = await _living_tree(conn)
    return _lines([t for t in found if tree.is_within(t.id, TenantId(id_))], found)


async def known_tenant(conn: Connection, id_: str) -> Tenant:
    """Return the tenant ``id_``.

    Raises:
        NotFound: there is none; the message names the nearest.
    """
    found = await store.find_tenant(conn, TenantId(id_))
    if found is not None:
        return found
    if TenantId(id_) in await store.load_tree(conn):
        raise NotFound(f"The tenant '{id_}' was deleted.", param="tenant_id")
    raise unknown_tenant(id_, [tenant.id for tenant in await store.list_tenants(conn)])


async def _tenant_from_above(conn: Connection, by: Principal, id_: str) -> Tenant:
    """Return a tenant on which ``by`` may act from above it: over its parent, or over ``*``."""
    action: Action = "tenants.write"
    if not any(by.may(action, step) for step in (TenantId(id_), EVERYWHERE)):
        by.require(action, TenantId(id_))
    found = await known_tenant(conn, id_)
    by.require(action, found.parent_id or EVERYWHERE)
    return found


async def _require_over_keys(conn: Connection, by: Principal, top: TenantId) -> None:
    """Raise where a key of the tenant or beneath it has a role above that of ``by``."""
    for tenant in (await _living_tree(conn)).beneath({top}):
        for key in await store.list_keys(conn, tenant):
            if key.role is not None and key.revoked_at is None:
                by.require_grant(key.role, key.role_over or tenant)


async def _change(
    conn: Connection, by: Principal, action: str, before: Tenant, changes: dict[str, object]
) -> Tenant:
    await store.update_tenant(conn, before.id, changes)
    after = await known_tenant(conn, before.id)
    old = {name: getattr(before, name) for name in changes}
    if old != changes:
        await note(
            conn,
            by.actor,
            action,
            f"tenant:{before.id}",
            tenant_id=before.id,
            before=old,
            after=changes,
        )
    return after


async def _delete_one(conn: Connection, tenant: TenantId, now: datetime) -> None:
    for key in await store.list_keys(conn, tenant):
        await store.revoke_key(conn, tenant, key.id, now)
    await delete_grants_over(conn, tenant)
    await store.update_tenant(conn, tenant, {"is_active": False, "deleted_at": now})


async def _remains(conn: Connection, id_: TenantId, now: datetime) -> Remains:
    beneath = (await _living_tree(conn)).beneath({id_}) - {id_}
    tenants = (id_, *sorted(beneath))
    keys = busy = rows = cost = documents = 0
    for tenant in tenants:
        used = await store.last_used(conn, tenant, (now - LATELY).date())
        for key in await store.list_keys(conn, tenant):
            if key.revoked_at is None and (key.expires_at is None or key.expires_at > now):
                keys += 1
                busy += used.get(key.id, now - 2 * LATELY) > now - LATELY
        spent = await store.spent_by(conn, tenant)
        rows, cost = rows + spent[0], cost + spent[1]
        documents += await store.count_documents(conn, tenant)
    return Remains(
        tenants=tenants,
        keys=keys,
        busy_keys=busy,
        ledger_rows=rows,
        cost_nanousd=cost,
        documents=documents,
    )


async def _living_tree(conn: Connection) -> TenantTree:
    return TenantTree({t.id: t.parent_id for t in await store.list_tenants(conn)})


def _height(tree: TenantTree, top: TenantId) -> int:
    """Return the levels from a tenant down to its lowest part."""
    return max(len(tree.path(t)) for t in tree.beneath({top})) - len(tree.path(top)) + 1


def _bounded(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadRequest(
            f"Tenants go {MAX_DEPTH} levels deep, and this would be level {depth}. Choose a parent "
            "further up.",
            param="parent",
        )


def _lines(shown: Iterable[Tenant], every: Iterable[Tenant]) -> list[TenantLine]:
    """Return tenants in the order of a tree; depth counts from the highest one that is shown."""
    found = {tenant.id: tenant for tenant in shown}
    known = {tenant.id: tenant for tenant in every}
    tree = TenantTree({tenant.id: tenant.parent_id for tenant in known.values()})
    paths = {id_: tree.path(id_) for id_ in found}
    return [
        TenantLine(
            found[id_],
            sum(step in found for step in paths[id_]) - 1,
            all(known[step].is_active for step in paths[id_]),
        )
        for id_ in sorted(found, key=lambda id_: paths[id_][::-1])
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (" …" if len(listed) > most else "")

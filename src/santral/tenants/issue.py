"""Make tenants, issue and revoke their keys: the same for command line, admin API and first start."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, NotFound, nearest
from santral.tenants import store
from santral.tenants.key import MARK, NewKey, RandomBytes, is_intact, known_key, new_key
from santral.tenants.tenant import DEFAULT_TENANT, KeyId, Tenant, TenantId, VirtualKey, tenant_id

_LONGEST_NAME = 128  # as the column


class IssuedKey(Struct, frozen=True):
    """A key just made, with its text: shown once, stored nowhere."""

    key: VirtualKey
    plaintext: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.key.prefix}…)"


class FirstKeys(Struct, frozen=True):
    """What the first start made: one key to administer with, one for the first application."""

    admin: IssuedKey
    application: IssuedKey


async def create_tenant(engine: Engine, id_: str, name: str | None, now: datetime) -> Tenant:
    """Make a tenant.

    Raises:
        BadRequest: the id or the name cannot be used, or the id is taken.
    """
    made = Tenant(tenant_id(id_), _checked_name(name if name is not None else id_))
    async with writing(engine) as conn:
        if not await store.insert_tenant(conn, made.id, made.name, now):
            raise BadRequest(f"There is a tenant '{id_}' already. Choose another id.", param="id")
    return made


async def create_key(
    engine: Engine,
    rng: RandomBytes,
    tenant: str,
    name: str,
    now: datetime,
    *,
    routes: Iterable[str] | None = None,
    expires_at: datetime | None = None,
    is_admin: bool = False,
) -> IssuedKey:
    """Issue a key to a tenant.

    Raises:
        NotFound: no such tenant.
        BadRequest: the name cannot be used, no route is left, or the key would be born expired.
    """
    allowed = None if routes is None else frozenset(routes)
    if allowed is not None and not allowed:
        raise BadRequest("A key for no route is of no use. Name one, or leave routes out for all.")
    if expires_at is not None and expires_at <= now:
        raise BadRequest(
            "The key would be expired already. Choose a later time.", param="expires_at"
        )
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        return await _issue(
            conn, rng, owner.id, _checked_name(name), now, allowed, expires_at, is_admin
        )


async def revoke_key(engine: Engine, reference: str, now: datetime) -> VirtualKey:
    """End the key with this id or prefix; gateways refuse it within two seconds.

    Raises:
        BadRequest: a whole key was given, or the prefix fits several.
        NotFound: no such key.
    """
    if is_intact(reference):
        raise BadRequest(
            "Name a key by its id or prefix, never by its whole text: it would stay in logs and "
            "in the history of the shell."
        )
    reference = reference.rstrip("…")  # as lists show a prefix
    async with writing(engine) as conn:
        found = await store.find_keys(conn, reference)
        if not found:
            raise NotFound(f"There is no key '{reference}'. List them with: santral keys list")
        if len(found) > 1:
            raise BadRequest(f"Several keys begin with '{reference}'. Name one by its id.")
        await store.revoke_key(conn, found[0].tenant_id, found[0].id, now)
        return (await store.find_keys(conn, found[0].id))[0]


async def list_keys(engine: Engine, tenant: str) -> list[VirtualKey]:
    """Return the keys of a tenant, the oldest first.

    Raises:
        NotFound: no such tenant.
    """
    async with reading(engine) as conn:
        return await store.list_keys(conn, (await known_tenant(conn, tenant)).id)


async def list_tenants(engine: Engine) -> list[Tenant]:
    """Return every tenant, by id."""
    async with reading(engine) as conn:
        return await store.list_tenants(conn)


async def known_tenant(conn: Connection, id_: str) -> Tenant:
    """Return the tenant ``id_``.

    Raises:
        NotFound: there is none; the message names the nearest.
    """
    found = await store.find_tenant(conn, TenantId(id_))
    if found is None:
        hint = nearest(id_, [tenant.id for tenant in await store.list_tenants(conn)])
        raise NotFound(
            f"There is no tenant '{id_}'.{hint} List them with: santral tenants list",
            param="tenant_id",
        )
    return found


async def ensure_first_keys(
    engine: Engine,
    rng: RandomBytes,
    now: datetime | None = None,
    application: str | None = None,
) -> FirstKeys | None:
    """Make the tenant ``default`` and two keys where there is no key yet; otherwise ``None``.

    ``application`` is the application key where the operator wants to choose it. Two processes may
    start at once: one of them gets the keys.

    Raises:
        BadRequest: ``application`` is not a whole key.
    """
    at = now or datetime.now(UTC)
    chosen = None if application is None else known_key(application)
    async with writing(engine) as conn:
        is_new = await store.insert_tenant(conn, DEFAULT_TENANT, "Default", at)
        if not is_new and await store.has_keys(conn, DEFAULT_TENANT):
            return None
        admin = await _issue(conn, rng, DEFAULT_TENANT, "first administrator", at, is_admin=True)
        return FirstKeys(
            admin, await _issue(conn, rng, DEFAULT_TENANT, "first application", at, text=chosen)
        )


async def _issue(
    conn: Connection,
    rng: RandomBytes,
    owner: TenantId,
    name: str,
    now: datetime,
    routes: frozenset[str] | None = None,
    expires_at: datetime | None = None,
    is_admin: bool = False,
    text: NewKey | None = None,
) -> IssuedKey:
    text = text or new_key(rng)
    key = VirtualKey(
        id=KeyId(f"key_{rng(8).hex()}"),
        tenant_id=owner,
        name=name,
        prefix=text.prefix,
        digest=text.digest,
        routes=routes,
        is_admin=is_admin,
        expires_at=expires_at,
    )
    return IssuedKey(await store.insert_key(conn, owner, key, now), text.plaintext)


def _checked_name(name: str) -> str:
    plain = name.strip()
    if not plain or len(plain) > _LONGEST_NAME or not plain.isprintable() or MARK in plain:
        raise BadRequest(
            f"A name has 1 to {_LONGEST_NAME} printable characters and is not a key.", param="name"
        )
    return plain

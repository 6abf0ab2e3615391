"""Issue, change, rotate and revoke virtual keys: the same for command line, admin API and first start."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from santral.audit.note import SYSTEM, note
from santral.config.network import parse_network
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, Conflict, NotFound
from santral.tenants import store
from santral.tenants.group import checked_groups
from santral.tenants.key import NewKey, RandomBytes, holds_secret, known_key, new_key
from santral.tenants.name import checked_name
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Action, Principal
from santral.tenants.scope import key_scopes
from santral.tenants.tenant import DEFAULT_TENANT, EVERYWHERE, KeyId, Role, TenantId, VirtualKey
from santral.tenants.users.change import known_user
from santral.tenants.users.last_owner import keeping_an_owner

#: How long the former text of a key may go on: within it every application gets the new one. Chosen.
LONGEST_OVERLAP = timedelta(days=30)
#: How far back the last use of a key is looked for in the ledger. Chosen: a quarter.
_LOOKED_BACK = timedelta(days=90)
#: Most names in one of a key's lists. Chosen: far beyond use, and a row stays small.
_MOST_NAMES = 500


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


class KeyTerms(Struct, frozen=True, kw_only=True):
    """What a key is for; what is left unset stays as it is, ``None`` takes a bound away."""

    name: str | UnsetType = UNSET
    routes: Iterable[str] | UnsetType | None = UNSET
    models: Iterable[str] | UnsetType | None = UNSET  # names of deployments
    networks: Iterable[str] | UnsetType | None = UNSET
    scopes: Iterable[str] | UnsetType | None = UNSET
    groups: Iterable[str] | UnsetType | None = UNSET  # whose documents it may be answered from
    names_groups: bool | UnsetType = UNSET  # whether its requests say whose
    expires_at: datetime | UnsetType | None = UNSET
    role: Role | UnsetType | None = UNSET
    role_over: str | UnsetType | None = UNSET  # default: the key's own tenant
    owner: str | UnsetType | None = UNSET  # id or address of a user


class KnownKey(Struct, frozen=True):
    """A key, and when it was last used as far as the ledger of the last 90 days knows."""

    key: VirtualKey
    last_used_at: datetime | None


async def create_key(
    engine: Engine,
    rng: RandomBytes,
    tenant: str,
    name: str,
    now: datetime,
    *,
    by: Principal,
    terms: KeyTerms | None = None,
) -> IssuedKey:
    """Issue a key to a tenant.

    Raises:
        NotFound: no such tenant, or no such owner.
        BadRequest: the name or a bound cannot be used, or the key would be born expired.
        NotAllowed: its role would be above that of ``by``.
    """
    by.require("keys.write", TenantId(tenant))
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        blank = VirtualKey(
            id=KeyId(f"key_{rng(8).hex()}"),
            tenant_id=owner.id,
            name=checked_name(name),
            prefix="",
            digest="",
        )
        changes = await _checked(conn, by, blank, terms or KeyTerms(), now)
        issued = await _insert(conn, rng, replace(blank, **changes), now)
        after = _shown(issued.key)
        object_ = f"key:{issued.key.id}"
        await note(conn, by.actor, "keys.create", object_, tenant_id=owner.id, after=after)
        return issued


async def update_key(
    engine: Engine, reference: str, terms: KeyTerms, now: datetime, *, by: Principal
) -> VirtualKey:
    """Change what the key with this id or prefix is for; gateways follow within two seconds.

    Raises:
        NotFound: no such key or owner.
        BadRequest: a bound cannot be used.
        NotAllowed: its role, of before or after, is above that of ``by``.
        Conflict: it is revoked, or is the last owner.
    """
    async with writing(engine) as conn:
        await bump_revision(conn)
        key = await _administered(conn, reference, by)
        changes = await _checked(conn, by, key, terms, now)
        if not changes:
            return key
        columns = {name: _column(value) for name, value in changes.items()}
        async with keeping_an_owner(conn, now):
            changed = await store.update_key(conn, key.tenant_id, key.id, columns)
        if changed is None:
            raise _is_revoked(key)
        before, after = _shown(key), _shown(changed)
        told = [name for name in after if before[name] != after[name]]
        await note(
            conn,
            by.actor,
            "keys.update",
            f"key:{key.id}",
            tenant_id=key.tenant_id,
            before={name: before[name] for name in told},
            after={name: after[name] for name in told},
        )
        return changed


async def rotate_key(
    engine: Engine,
    rng: RandomBytes,
    reference: str,
    now: datetime,
    *,
    by: Principal,
    overlap: timedelta = timedelta(0),
) -> IssuedKey:
    """Give a key a new text; the former one works until ``overlap`` is over.

    The key stays the same one: its limits, its spend and its traces go on.

    Raises:
        NotFound: no such key.
        BadRequest: the overlap is out of bounds.
        NotAllowed: its role is above that of ``by``.
        Conflict: it is revoked or expired, or the overlap of an earlier rotation is not over and
            would be cut short; without an overlap all former texts end at once.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadRequest(
            f"An overlap lasts from 0 to {LONGEST_OVERLAP.days} days.", param="overlap_s"
        )
    async with writing(engine) as conn:
        await bump_revision(conn)  # of two that rotate at once, the second sees what the first did
        key = await _administered(conn, reference, by)
        if key.expires_at is not None and key.expires_at <= now:
            raise Conflict(
                f"The key '{key.name}' is expired. Give it a later end first, or a new key."
            )
        running = key.previous_expires_at
        if overlap and running is not None and running > now:
            raise Conflict(
                f"The key '{key.name}' was rotated already: its former text works until "
                f"{running:%Y-%m-%d %H:%M UTC}. Rotate it again after that, or now without an "
                "overlap, which ends every former text at once.",
                code="overlap_running",
            )
        text = new_key(rng)
        changes = {
            "prefix": text.prefix,
            "digest": text.digest,
            "previous_prefix": key.prefix if overlap else None,
            "previous_digest": key.digest if overlap else None,
            "previous_expires_at": now + overlap if overlap else None,
        }
        changed = await store.update_key(conn, key.tenant_id, key.id, changes)
        if changed is None:
            raise _is_revoked(key)
        after = {"prefix": text.prefix, "overlap_s": overlap.total_seconds()}
        await note(
            conn,
            by.actor,
            "keys.rotate",
            f"key:{key.id}",
            tenant_id=key.tenant_id,
            before={"prefix": key.prefix},
            after=after,
        )
        return IssuedKey(changed, text.plaintext)


async def revoke_key(engine: Engine, reference: str, now: datetime, *, by: Principal) -> VirtualKey:
    """End the key with this id or prefix; gateways refuse it within two seconds.

    Raises:
        BadRequest: a whole key was given, or the prefix fits several.
        NotFound: no such key.
        NotAllowed: its role is above that of ``by``.
        Conflict: it is the last owner.
    """
    async with writing(engine) as conn:
        await bump_revision(conn)
        key = await _administered(conn, reference, by)
        async with keeping_an_owner(conn, now):
            was_in_force = await store.revoke_key(conn, key.tenant_id, key.id, now)
        if was_in_force:
            before = {"name": key.name, "prefix": key.prefix}
            object_ = f"key:{key.id}"
            await note(
                conn, by.actor, "keys.revoke", object_, tenant_id=key.tenant_id, before=before
            )
        return (await store.find_keys(conn, key.id))[0]


async def list_keys(engine: Engine, tenant: str, now: datetime, *, by: Principal) -> list[KnownKey]:
    """Return the keys of a tenant, the oldest first, revoked ones too.

    Raises:
        NotFound: no such tenant.
    """
    by.require("keys.read", TenantId(tenant))
    async with reading(engine) as conn:
        owner = await known_tenant(conn, tenant)
        keys = await store.list_keys(conn, owner.id)
        used = await store.last_used(conn, owner.id, (now - _LOOKED_BACK).date())
    return [KnownKey(key, used.get(key.id)) for key in keys]


async def show_key(engine: Engine, reference: str, now: datetime, *, by: Principal) -> KnownKey:
    """Return the key with this id or prefix.

    Raises:
        NotFound: no such key.
    """
    async with reading(engine) as conn:
        key = await _found(conn, reference, by, "keys.read")
        used = await store.last_used(conn, key.tenant_id, (now - _LOOKED_BACK).date())
    return KnownKey(key, used.get(key.id))


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
        owner = _first(rng, "first administrator", role="owner", role_over=EVERYWHERE)
        keys = FirstKeys(
            await _insert(conn, rng, owner, at),
            await _insert(conn, rng, _first(rng, "first application"), at, chosen),
        )
        for issued in (keys.admin, keys.application):
            await note(
                conn,
                SYSTEM,
                "keys.create",
                f"key:{issued.key.id}",
                tenant_id=DEFAULT_TENANT,
                after=_shown(issued.key),
            )
        return keys


async def _insert(
    conn: Connection, rng: RandomBytes, key: VirtualKey, now: datetime, text: NewKey | None = None
) -> IssuedKey:
    text = text or new_key(rng)
    whole = replace(key, prefix=text.prefix, digest=text.digest)
    return IssuedKey(await store.insert_key(conn, key.tenant_id, whole, now), text.plaintext)


def _first(rng: RandomBytes, name: str, **fields: Any) -> VirtualKey:
    id_ = KeyId(f"key_{rng(8).hex()}")
    return VirtualKey(id=id_, tenant_id=DEFAULT_TENANT, name=name, prefix="", digest="", **fields)


async def _administered(conn: Connection, reference: str, by: Principal) -> VirtualKey:
    """Return a key that ``by`` may change: a key's text is worth what its role is."""
    key = await _found(conn, reference, by, "keys.write")
    if key.role is not None:
        by.require_grant(key.role, key.role_over or key.tenant_id)
    return key


async def _found(conn: Connection, reference: str, by: Principal, action: Action) -> VirtualKey:
    if holds_secret(reference):
        raise BadRequest(
            "Name a key by its id or prefix, never by its whole text: it would stay in logs and "
            "in the history of the shell."
        )
    visible = by.tenants()
    found = [
        key
        for key in await store.find_keys(conn, reference.rstrip("…"))  # as lists show a prefix
        if visible is None or key.tenant_id in visible
    ]
    if not found:
        raise NotFound(f"There is no key {reference[:64]!r}. List them with: santral keys list")
    if len(found) > 1:
        raise BadRequest(f"Several keys begin with {reference[:64]!r}. Name one by its id.")
    by.require(action, found[0].tenant_id)
    return found[0]


async def _checked(
    conn: Connection, by: Principal, key: VirtualKey, terms: KeyTerms, now: datetime
) -> dict[str, Any]:
    """Return the fields of ``key`` that ``terms`` set, each checked."""
    changes: dict[str, Any] = {}
    if terms.name is not UNSET:
        changes["name"] = checked_name(terms.name)
    for field in ("routes", "models"):
        given = getattr(terms, field)
        if given is not UNSET:
            changes[field] = None if given is None else frozenset(_bounded(given, field))
    if terms.networks is not UNSET:
        changes["networks"] = None if terms.networks is None else _networks(terms.networks)
    if terms.scopes is not UNSET:
        scopes = terms.scopes
        changes["scopes"] = None if scopes is None else key_scopes(_bounded(scopes, "scopes"))
    if terms.groups is not UNSET:
        changes["groups"] = checked_groups(terms.groups or ())
    if terms.names_groups is not UNSET:
        changes["names_groups"] = terms.names_groups
    if terms.expires_at is not UNSET:
        changes["expires_at"] = _later(terms.expires_at, now)
    if terms.owner is not UNSET:
        changes["user_id"] = None if terms.owner is None else await _owner(conn, by, terms.owner)
    return changes | await _checked_role(conn, by, key, terms)


async def _checked_role(
    conn: Connection, by: Principal, key: VirtualKey, terms: KeyTerms
) -> dict[str, Any]:
    if terms.role is UNSET and terms.role_over is UNSET:
        return {}
    role = key.role if terms.role is UNSET else terms.role
    over = key.role_over if terms.role_over is UNSET else terms.role_over
    if role is None:
        if terms.role_over is not UNSET and terms.role_over is not None:
            raise BadRequest(
                "A key without a role administers nothing. Name a role, too.", param="role"
            )
        return {"role": None, "role_over": None}
    where = TenantId(over) if over is not None else key.tenant_id
    by.require_grant(role, where)
    if where != EVERYWHERE:
        await known_tenant(conn, where)
    return {"role": role, "role_over": where}


async def _owner(conn: Connection, by: Principal, reference: str) -> str:
    user = await known_user(conn, reference, by=by)
    if not user.is_active:
        raise BadRequest(f"The user {user.name!r} is switched off.", param="owner")
    return user.id


def _bounded(names: Iterable[str], field: str) -> list[str]:
    given = list(names)
    if not given:
        raise BadRequest(
            f"A key for no {field} is of no use. Name one, or leave {field} out for all.",
            param=field,
        )
    if len(given) > _MOST_NAMES or any(not name.isprintable() or len(name) > 128 for name in given):
        raise BadRequest(
            f"{field} holds at most {_MOST_NAMES} names of up to 128 printable characters.",
            param=field,
        )
    return given


def _networks(texts: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(str(parse_network(t)) for t in _bounded(texts, "networks")))
    except ValueError as error:
        raise BadRequest(str(error), param="networks") from None


def _later(moment: datetime | None, now: datetime) -> datetime | None:
    if moment is not None and moment <= now:
        raise BadRequest(
            "The key would be expired already. Choose a later time.", param="expires_at"
        )
    return moment


def _is_revoked(key: VirtualKey) -> Conflict:
    return Conflict(f"The key '{key.name}' is revoked, for good. Issue a new one.")


def _column(value: Any) -> Any:
    if isinstance(value, frozenset):
        return store.listed(cast("frozenset[str]", value))
    return list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value


def _shown(key: VirtualKey) -> dict[str, Any]:
    """Return what the audit log says of a key: never its digest."""
    return {
        "name": key.name,
        "prefix": key.prefix,
        "routes": store.listed(key.routes),
        "models": store.listed(key.models),
        "networks": None if key.networks is None else list(key.networks),
        "scopes": store.listed(key.scopes),
        "groups": store.listed(key.groups),
        "names_groups": key.names_groups,
        "role": key.role,
        "role_over": key.role_over,
        "user_id": key.user_id,
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
    }

"""A collection as it is known: its row, its settings in force, and what settings may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from santral.config.collections import CollectionConfig
from santral.config.references import check_collection
from santral.config.schema import Config
from santral.db.engine import Connection
from santral.errors import BadRequest, NotFound, nearest
from santral.retrieval.collection import Collection, StoredCollection, settings_of
from santral.retrieval.collections import store
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Action, Principal
from santral.tenants.tenant import Tenant, TenantId

#: Settings that reach beyond the tenant: whoever keeps santral.toml decides them.
_DECLARED_ONLY = ("tenants", "owner")


async def owner_of(conn: Connection, tenant: str, action: Action, by: Principal) -> Tenant:
    """Return the tenant on which ``by`` may do ``action``; raises NotFound, NotAllowed."""
    by.require(action, TenantId(tenant))
    return await known_tenant(conn, tenant)


async def known_collection(
    conn: Connection,
    config: Config,
    tenant: str,
    name: str,
    action: Action,
    *,
    by: Principal,
) -> Collection:
    """Return a tenant's collection on which ``by`` may do ``action``; one that is declared in
    santral.toml is there from the first document on.

    Raises:
        NotFound: no such tenant or collection; names the nearest.
        NotAllowed: no role that may do it there.
    """
    owner = await owner_of(conn, tenant, action, by)
    row = await store.find_collection(conn, owner.id, name)
    if row is None:
        known = [one.name for one in await store.list_collections(conn, owner.id)]
        raise NotFound(
            f"There is no collection '{name[:64]}'.{nearest(name[:64], known)} "
            "List them with: santral collections list",
            code="collection_not_found",
            param="collection",
        )
    return collection_of(config, row)


def collection_of(config: Config, row: StoredCollection) -> Collection:
    """Return a collection with the settings in force: its own, the file's, or the defaults."""
    settings = settings_of(config.collections, row)
    return Collection(
        tenant_id=row.tenant_id,
        name=row.name,
        settings=settings,
        is_declared=row.settings is None and row.name in config.collections,
        revision=row.revision,
        active_version=row.active_version,
        description=row.description or settings.description,
        created_at=row.created_at,
    )


def checked_settings(
    config: Config, name: str, settings: Mapping[str, Any], *, is_declared: bool = False
) -> CollectionConfig:
    """Return settings as a collection has them.

    Raises:
        BadRequest: an unknown or wrong setting, a name of nothing, or what only santral.toml may say.
    """
    if not is_declared:
        for setting in _DECLARED_ONLY:
            if setting in settings:
                raise BadRequest(
                    f"'{setting}' shares documents with other tenants: say it in santral.toml, "
                    f"under [collections.{name}].",
                    param=setting,
                )
    try:
        checked = CollectionConfig.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        known = CollectionConfig.model_fields
        hint = nearest(place, known) if first["type"] == "extra_forbidden" else ""
        raise BadRequest(
            f"{place or 'settings'}: {first['msg']}.{hint}", code="bad_setting", param=place
        ) from None
    problems = check_collection(name, checked, config)
    if problems:
        raise BadRequest(problems[0], code="bad_setting")
    return checked


async def row_of(conn: Connection, tenant_id: str, name: str) -> StoredCollection:
    row = await store.find_collection(conn, tenant_id, name)
    if row is None:
        raise NotFound(f"There is no collection '{name[:64]}'.", code="collection_not_found")
    return row


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with changes on top; ``search`` is merged by its own settings."""
    made = dict(before)
    for setting, value in changes.items():
        if value is None:
            made.pop(setting, None)
        elif isinstance(value, Mapping) and isinstance(made.get(setting), Mapping):
            made[setting] = merged(made[setting], cast("Mapping[str, Any]", value))
        else:
            made[setting] = value
    return made


def written(settings: CollectionConfig) -> dict[str, Any]:
    """Return what differs from the defaults, as JSON."""
    return settings.model_dump(mode="json", exclude_defaults=True)

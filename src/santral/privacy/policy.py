"""What tenants want kept, and for how long: the same for command line and admin API."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from msgspec import Struct

from santral.audit.note import note
from santral.config.schema import TelemetryConfig
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, nearest
from santral.tenants.inherit import inherited
from santral.tenants.issue import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.store import list_tenants, update_tenant
from santral.tenants.tenant import PayloadPolicy, Tenant, TenantId

#: Policies, the one that keeps most first.
POLICIES: tuple[PayloadPolicy, ...] = get_args(PayloadPolicy)
#: What takes a tenant's own word back.
INHERIT = "inherit"
#: The longest that can be asked for, in days: a century.
MOST_DAYS = 36_500


class Unchanged(Struct, frozen=True):
    """Stands for a value that a change leaves alone."""


UNCHANGED = Unchanged()


class KeepingRule(Struct, frozen=True, kw_only=True):
    """What holds for a tenant, and what it says itself; None where it says nothing."""

    tenant_id: TenantId
    payloads: PayloadPolicy
    retention_days: int | None  # None: for ever
    own_payloads: PayloadPolicy | None
    own_retention_days: int | None


async def show_keeping(
    engine: Engine, tenant: str, defaults: TelemetryConfig, *, by: Principal
) -> KeepingRule:
    """Return what is kept of a tenant's words, and for how long.

    Raises:
        NotFound: no such tenant.
    """
    by.require("privacy.read", TenantId(tenant))
    async with reading(engine) as conn:
        return await _rule(conn, await known_tenant(conn, tenant), defaults)


async def set_keeping(
    engine: Engine,
    tenant: str,
    defaults: TelemetryConfig,
    now: datetime,
    *,
    payloads: PayloadPolicy | Unchanged | None = UNCHANGED,
    retention_days: int | Unchanged | None = UNCHANGED,
    by: Principal,
) -> KeepingRule:
    """Change what is kept from now on; gateways follow within two seconds.

    None takes the tenant's own word back, so that its parent's holds. What is kept already goes with
    retention or an erasure.

    Raises:
        NotFound: no such tenant.
        BadRequest: a number of days that cannot be.
    """
    by.require("privacy.write", TenantId(tenant))
    if isinstance(retention_days, int) and not 1 <= retention_days <= MOST_DAYS:
        raise BadRequest(
            f"Retention is from 1 to {MOST_DAYS} days, or '{INHERIT}'.", param="retention_days"
        )
    asked = {"payloads": payloads, "retention_days": retention_days}
    changes = {name: value for name, value in asked.items() if value is not UNCHANGED}
    async with writing(engine) as conn:
        before = await known_tenant(conn, tenant)
        if changes:
            await update_tenant(conn, before.id, changes)
            await note(
                conn,
                by.actor,
                "privacy.keep",
                f"tenant:{before.id}",
                tenant_id=before.id,
                before={name: getattr(before, name) for name in changes},
                after=changes,
                now=now,
            )
        return await _rule(conn, await known_tenant(conn, tenant), defaults)


def policy_named(text: str) -> PayloadPolicy | None:
    """Return the policy that a person named; None for ``inherit``.

    Raises:
        BadRequest: there is none of that name.
    """
    if text == INHERIT:
        return None
    for policy in POLICIES:
        if text == policy:
            return policy
    hint = nearest(text, (*POLICIES, INHERIT))
    raise BadRequest(
        f"'{text[:64]}' is no policy.{hint} Known: {', '.join(POLICIES)}, {INHERIT}.",
        param="payloads",
    )


async def _rule(conn: Connection, own: Tenant, defaults: TelemetryConfig) -> KeepingRule:
    holds = next(t for t in inherited(await list_tenants(conn)) if t.id == own.id)
    return KeepingRule(
        tenant_id=own.id,
        payloads=holds.payloads or defaults.payloads,
        retention_days=holds.retention_days or defaults.retention_days,
        own_payloads=own.payloads,
        own_retention_days=own.retention_days,
    )

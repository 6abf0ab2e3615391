"""Who administers, for tests: the operator of the machine, and people with roles here and there."""

from __future__ import annotations

from datetime import UTC, datetime

from santral.db.engine import Engine, reading
from santral.tenants import organise
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant, Principal, Role
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPERATOR = local_operator()


async def plant(engine: Engine, *pairs: str) -> None:
    """Make tenants from ``child<parent`` or ``name``, in this order."""
    for pair in pairs:
        name, _, parent = pair.partition("<")
        await organise.create_tenant(engine, name, None, NOW, by=OPERATOR, parent=parent or None)


async def acting(engine: Engine, role: Role, over: str) -> Principal:
    """Return somebody who holds ``role`` over a tenant, as they would sign in now."""
    async with reading(engine) as conn:
        tree = await load_tree(conn)
    return Principal(f"user:usr_{role}", "203.0.113.7", (Grant(role, TenantId(over)),), tree)

"""What a tenant does not say of itself it has from its parent."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from santral.tenants.tenant import Tenant
from santral.tenants.tree import TenantTree


def inherited(tenants: Iterable[Tenant]) -> list[Tenant]:
    """Return tenants with their payload policy and retention as they hold; None where nobody says."""
    known = {tenant.id: tenant for tenant in tenants}
    tree = TenantTree({tenant.id: tenant.parent_id for tenant in known.values()})
    return [
        _filled(tenant, [known[step] for step in tree.path(tenant.id)]) for tenant in known.values()
    ]


def _filled(tenant: Tenant, path: list[Tenant]) -> Tenant:
    if tenant.parent_id is None:
        return tenant
    payloads = next((step.payloads for step in path if step.payloads is not None), None)
    days = next((step.retention_days for step in path if step.retention_days is not None), None)
    return replace(tenant, payloads=payloads, retention_days=days)

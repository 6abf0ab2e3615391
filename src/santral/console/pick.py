"""What a reader picks: the tenant that a page is about, a role."""

from __future__ import annotations

from santral.console.frame import Visit
from santral.errors import BadRequest, NotFound, nearest
from santral.tenants import organise
from santral.tenants.organise import TenantLine
from santral.tenants.permission import ROLES, Action, Role
from santral.tenants.tenant import DEFAULT_TENANT, TenantId


async def tenant_choices(visit: Visit, action: Action) -> list[TenantLine]:
    """Return the tenants on which the reader may do ``action``, as a tree."""
    visit.principal.require_somewhere(action)
    allowed = visit.principal.tenants(action)
    lines = await organise.list_tenants(visit.engine, by=visit.principal)
    return [line for line in lines if allowed is None or line.tenant.id in allowed]


def pick_tenant(visit: Visit, choices: list[TenantLine], action: Action) -> TenantId:
    """Return the tenant that the address or the form names, else the first to choose from.

    Raises:
        NotFound: no such tenant, no role there, or no tenant at all.
    """
    asked = visit.asked("tenant") or visit.form("tenant")
    if asked:
        visit.principal.require(action, TenantId(asked))
        return TenantId(asked)
    ids = [line.tenant.id for line in choices]
    if not ids:
        raise NotFound("There is no tenant yet. Make one with: santral tenants create")
    return DEFAULT_TENANT if DEFAULT_TENANT in ids else ids[0]


def pick_role(text: str) -> Role:
    """Return the role that a form names.

    Raises:
        BadRequest: there is none of that name.
    """
    for role in ROLES:
        if role == text:
            return role
    raise BadRequest(f"There is no role '{text[:32]}'.{nearest(text[:32], ROLES)}", param="role")

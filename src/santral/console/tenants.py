"""Pages of tenants: the tree, making one, switching, renaming, moving and deleting it."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

from santral.console.frame import Frame, Visit
from santral.errors import Conflict
from santral.tenants import organise
from santral.tenants.permission import Action
from santral.tenants.tenant import EVERYWHERE, TenantId


class TenantPages:
    """The pages over the tree of tenants."""

    def __init__(self, frame: Frame) -> None:
        frame.show("/tenants", self.list)
        frame.act("/tenants", self.create, self.list)
        frame.show("/tenants/{id}", self.one)
        frame.act("/tenants/{id}/rename", self.rename, self.one)
        frame.act("/tenants/{id}/move", self.move, self.one)
        frame.act("/tenants/{id}/switch", self.switch, self.one)
        frame.show("/tenants/{id}/delete", self.ask_delete)
        frame.act("/tenants/{id}/delete", self.delete, self.ask_delete)

    async def list(self, visit: Visit) -> Response:
        """Every tenant that may be seen, as a tree."""
        visit.principal.require_somewhere("tenants.read")
        lines = await organise.list_tenants(visit.engine, by=visit.principal)
        writable = visit.principal.tenants("tenants.write")
        return visit.page(
            "tenants.html",
            lines=lines,
            may_make=writable is None or bool(writable),
            may_make_top=visit.principal.may("tenants.write", EVERYWHERE),
            parents=[line for line in lines if writable is None or line.tenant.id in writable],
        )

    async def create(self, visit: Visit) -> Response:
        """Make a tenant."""
        made = await organise.create_tenant(
            visit.engine,
            visit.form("id"),
            visit.form.optional("name"),
            visit.now,
            by=visit.principal,
            parent=visit.form.optional("parent"),
        )
        return visit.done("done_created", _address(made.id))

    async def one(self, visit: Visit) -> Response:
        """One tenant, with what is beneath it and what can be done with it."""
        id_ = visit.place("id")
        lines = await organise.show_tenant(visit.engine, id_, by=visit.principal)
        tenant, may = lines[0].tenant, visit.principal.may
        above = tenant.parent_id or EVERYWHERE
        writable = visit.principal.tenants("tenants.write")
        every = await organise.list_tenants(visit.engine, by=visit.principal)
        inside = {line.tenant.id for line in lines}
        return visit.page(
            "tenant.html",
            tenant=tenant,
            is_in_force=lines[0].is_in_force,
            beneath=lines[1:],
            may_rename=may("tenants.write", tenant.id),
            may_govern=may("tenants.write", above),
            may_make_top=may("tenants.write", EVERYWHERE),
            parents=[
                line.tenant
                for line in every
                if line.tenant.id not in inside and (writable is None or line.tenant.id in writable)
            ],
            pages=_pages_of(visit, tenant.id),
        )

    async def rename(self, visit: Visit) -> Response:
        """Give a tenant another name."""
        id_ = visit.place("id")
        await organise.rename_tenant(visit.engine, id_, visit.form("name"), by=visit.principal)
        return visit.done("done_changed", _address(id_))

    async def move(self, visit: Visit) -> Response:
        """Make a tenant a part of another one."""
        id_, parent = visit.place("id"), visit.form.optional("parent")
        await organise.move_tenant(visit.engine, id_, parent, visit.now, by=visit.principal)
        return visit.done("done_changed", _address(id_))

    async def switch(self, visit: Visit) -> Response:
        """Switch a tenant on or off."""
        id_, is_on = visit.place("id"), visit.form("to") == "on"
        await organise.switch_tenant(visit.engine, id_, is_on, visit.now, by=visit.principal)
        return visit.done("done_switched_on" if is_on else "done_switched_off", _address(id_))

    async def ask_delete(self, visit: Visit) -> Response:
        """Say what a deletion does, and ask."""
        lines = await organise.show_tenant(visit.engine, visit.place("id"), by=visit.principal)
        above = lines[0].tenant.parent_id or EVERYWHERE
        visit.principal.require("tenants.write", above)
        needs_force = (
            isinstance(visit.trouble, Conflict) and visit.trouble.detail_code == "needs_force"
        )
        return visit.page("tenant_delete.html", tenant=lines[0].tenant, needs_force=needs_force)

    async def delete(self, visit: Visit) -> Response:
        """Delete a tenant; what goes with it is said once before."""
        is_forced = visit.form("force") == "yes"
        await organise.delete_tenant(
            visit.engine, visit.place("id"), visit.now, by=visit.principal, is_forced=is_forced
        )
        return visit.done("done_deleted", "/tenants")


def _address(id_: str) -> str:
    return f"/tenants/{quote(id_, safe='')}"


def _pages_of(visit: Visit, tenant: TenantId) -> list[tuple[str, str]]:
    """Return the other pages about a tenant that may be opened: address and word."""
    pages: tuple[tuple[Action, str, str], ...] = (
        ("keys.read", "/keys", "keys"),
        ("limits.read", "/limits", "limits"),
        ("ledger.read", "/ledger", "ledger"),
        ("audit.read", "/audit", "audit"),
        ("traces.read", "/traces", "traces"),
    )
    named = f"tenant={quote(tenant, safe='')}"
    return [
        (f"{path}?{named}", word)
        for action, path, word in pages
        if visit.principal.may(action, tenant)
    ]

"""Pages of users: people and service accounts, their roles, and switching them off."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import Response

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_role, tenant_choices
from santral.tenants.permission import PERMISSIONS, ROLES, Grant
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.users import change


class UserPages:
    """The pages over users and their roles."""

    def __init__(self, frame: Frame) -> None:
        self._sso = frame.config.sso
        frame.show("/users", self.list)
        frame.act("/users", self.create, self.list)
        frame.show("/users/{id}", self.one)
        frame.act("/users/{id}/switch", self.switch, self.one)
        frame.act("/users/{id}/groups", self.groups, self.one)
        frame.act("/users/{id}/grant", self.grant, self.one)
        frame.act("/users/{id}/take", self.take, self.one)

    async def list(self, visit: Visit) -> Response:
        """The users who may be seen, and the form that adds one."""
        visit.principal.require_somewhere("users.read")
        return visit.page(
            "users.html",
            users=await change.list_users(visit.engine, by=visit.principal),
            has_sso=self._sso is not None,
            permissions=PERMISSIONS,
            **await _choices(visit),
        )

    async def create(self, visit: Visit) -> Response:
        """Add a user with a first role."""
        is_service = visit.form("kind") == "service"
        made = await change.create_user(
            visit.engine,
            visit.rng,
            visit.form("name"),
            visit.now,
            by=visit.principal,
            email=visit.form.optional("email"),
            kind="service" if is_service else "person",
            grant=_grant(visit) if visit.form("role") else None,
        )
        return visit.done("done_created", _address(made.id))

    async def one(self, visit: Visit) -> Response:
        """One user with their roles."""
        user = await change.show_user(visit.engine, visit.place("id"), by=visit.principal)
        writable = visit.principal.tenants("users.write")
        return visit.page(
            "user.html",
            user=user,
            is_me=visit.principal.name == f"user:{user.id}",
            permissions=PERMISSIONS,
            may_take={g.over for g in user.grants if visit.principal.may("users.write", g.over)},
            may_switch=writable is None or bool(writable),
            **await _choices(visit),
        )

    async def switch(self, visit: Visit) -> Response:
        """Switch a user on or off."""
        id_, is_on = visit.place("id"), visit.form("to") == "on"
        await change.switch_user(visit.engine, id_, is_on, visit.now, by=visit.principal)
        return visit.done("done_switched_on" if is_on else "done_switched_off", _address(id_))

    async def groups(self, visit: Visit) -> Response:
        """Set the groups whose documents a user's keys may be answered from."""
        id_, named = visit.place("id"), visit.form.every("groups")
        await change.set_groups(visit.engine, id_, named, by=visit.principal)
        return visit.done("done_changed", _address(id_))

    async def grant(self, visit: Visit) -> Response:
        """Give a user a role."""
        id_ = visit.place("id")
        await change.grant_role(visit.engine, id_, _grant(visit), visit.now, by=visit.principal)
        return visit.done("done_granted", _address(id_))

    async def take(self, visit: Visit) -> Response:
        """Take a role from a user."""
        id_, over = visit.place("id"), TenantId(visit.form("over"))
        left = await change.revoke_role(visit.engine, id_, over, visit.now, by=visit.principal)
        is_visible = bool(left.grants) or visit.principal.tenants("users.read") is None
        return visit.done("done_taken", _address(id_) if is_visible else "/users")


def _grant(visit: Visit) -> Grant:
    role = pick_role(visit.form("role"))
    return Grant(role, TenantId(visit.form("over")))


async def _choices(visit: Visit) -> dict[str, Any]:
    """Return what the forms offer: roles, and the tenants over which they may be given."""
    writable = visit.principal.tenants("users.write")
    may_write = writable is None or bool(writable)
    return {
        "roles": ROLES,
        "overs": await tenant_choices(visit, "users.write") if may_write else [],
        "may_everywhere": visit.principal.may("users.write", EVERYWHERE),
        "may_write": may_write,
    }


def _address(id_: str) -> str:
    return f"/users/{quote(id_, safe='')}"

"""``/api/users``: the admin API of people, service accounts and their roles."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.errors import BadRequest
from santral.tenants.group import MOST_GROUPS
from santral.tenants.key import RandomBytes
from santral.tenants.permission import Authorise, Grant, Principal
from santral.tenants.tenant import Role, TenantId
from santral.tenants.users import change
from santral.tenants.users.user import Kind, User

Text = Annotated[str, Field(max_length=1024)]
Groups = Annotated[list[Text], Field(max_length=MOST_GROUPS)]
Reference = Annotated[
    str, Path(max_length=1024, description="The id of the user, or the e-mail address.")
]


class GrantBody(BaseModel):
    """A role, and where it holds."""

    model_config = ConfigDict(extra="forbid")

    role: Role = Field(description="What it allows: see the page about roles.")
    over: Text = Field(description="A tenant with what is beneath it, or * for everything.")


class NewUserBody(BaseModel):
    """A user to make."""

    model_config = ConfigDict(extra="forbid")

    name: Text = Field(description="Their name.")
    email: Text | None = Field(
        None, description="By which single sign-on finds them; a person has one."
    )
    kind: Kind = Field("person", description="A service account cannot sign in; it owns keys.")
    grant: GrantBody | None = Field(
        None, description="A first role; who administers no more than a tenant must name one there."
    )
    groups: Groups = Field(
        default_factory=list[str],
        description="Groups whose documents their keys may be answered from.",
    )


class UserChangeBody(BaseModel):
    """A change of a user."""

    model_config = ConfigDict(extra="forbid")

    is_active: bool | None = Field(
        None, description="Off ends their sessions and refuses their keys."
    )
    groups: Groups | None = Field(
        None,
        description="Groups whose documents their keys may be answered from, in place of the former.",
    )


class UserBody(BaseModel):
    """A user, with the roles that you may see."""

    id: str
    kind: str
    name: str
    email: str | None
    is_active: bool
    created_at: datetime | None
    last_login_at: datetime | None
    grants: list[GrantBody]
    groups: list[str]


class UserList(BaseModel):
    """The users whom you may see."""

    users: list[UserBody]


def users_router(
    engine: Engine,
    authorise: Authorise,
    *,
    rng: RandomBytes = secrets.token_bytes,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api", tags=["users"])
    reader: Any = Depends(authorise("users.read"))
    writer: Any = Depends(authorise("users.write"))

    @router.get("/users")
    async def list_users(by: Principal = reader) -> UserList:
        """List the users whom you may see, with their roles."""
        return UserList(users=[_user(u) for u in await change.list_users(engine, by=by)])

    @router.post("/users", status_code=201)
    async def create_user(body: NewUserBody, by: Principal = writer) -> UserBody:
        """Make a person or a service account."""
        grant = None if body.grant is None else _grant(body.grant)
        return _user(
            await change.create_user(
                engine,
                rng,
                body.name,
                clock(),
                by=by,
                email=body.email,
                kind=body.kind,
                grant=grant,
                groups=body.groups,
            )
        )

    @router.get("/users/{id}")
    async def show_user(id: Reference, by: Principal = reader) -> UserBody:
        """Show a user."""
        return _user(await change.show_user(engine, id, by=by))

    @router.patch("/users/{id}")
    async def change_user(id: Reference, body: UserChangeBody, by: Principal = writer) -> UserBody:
        """Switch a user on or off, or set their groups: one of them at a time."""
        if body.is_active is not None and body.groups is None:
            return _user(await change.switch_user(engine, id, body.is_active, clock(), by=by))
        if body.groups is not None and body.is_active is None:
            return _user(await change.set_groups(engine, id, body.groups, by=by))
        raise BadRequest("Change one thing at a time: is_active or groups.")

    @router.put("/users/{id}/roles")
    async def grant_role(id: Reference, body: GrantBody, by: Principal = writer) -> UserBody:
        """Give a user a role over a tenant, in place of the one they hold there."""
        return _user(await change.grant_role(engine, id, _grant(body), clock(), by=by))

    @router.delete("/users/{id}/roles/{over}")
    async def revoke_role(
        id: Reference,
        over: Annotated[str, Path(max_length=1024, description="The tenant, or *.")],
        by: Principal = writer,
    ) -> UserBody:
        """Take the role that a user holds over a tenant."""
        return _user(await change.revoke_role(engine, id, TenantId(over), clock(), by=by))

    del list_users, create_user, show_user, change_user, grant_role, revoke_role  # the router's
    return router


def _grant(body: GrantBody) -> Grant:
    if not body.over.isprintable():
        raise BadRequest("'over' is a tenant's id, or *.", param="over")
    return Grant(body.role, TenantId(body.over))


def _user(user: User) -> UserBody:
    return UserBody(
        id=user.id,
        kind=user.kind,
        name=user.name,
        email=user.email,
        is_active=user.is_active,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
        grants=[GrantBody(role=grant.role, over=grant.over) for grant in user.grants],
        groups=sorted(user.groups),
    )

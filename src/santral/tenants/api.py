"""``/api/tenants`` and ``/api/keys``: the admin API of tenants and virtual keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.tenants import issue
from santral.tenants.key import RandomBytes
from santral.tenants.tenant import DEFAULT_TENANT, Tenant, VirtualKey


class NewTenantBody(BaseModel):
    """A tenant to make."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="Lower-case letters, digits, - and _; never changes.")
    name: str | None = Field(None, description="Its name for people; default is the id.")


class NewKeyBody(BaseModel):
    """A key to issue."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, description="Whose key it is.")
    name: str = Field(description="What it is for, e.g. the application.")
    routes: list[str] | None = Field(None, description="Routes it may use; default all.")
    expires_at: AwareDatetime | None = Field(None, description="When it ends; default never.")
    is_admin: bool = Field(False, description="Whether it may use the admin API.")


class TenantBody(BaseModel):
    """A tenant."""

    id: str
    name: str
    is_active: bool


class KeyBody(BaseModel):
    """A key without its text, which nobody but its holder knows."""

    id: str
    tenant_id: str
    name: str
    prefix: str
    routes: list[str] | None
    is_admin: bool
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class IssuedKeyBody(BaseModel):
    """A key just issued: ``plaintext`` is shown this once."""

    key: KeyBody
    plaintext: str


class TenantList(BaseModel):
    """Every tenant."""

    tenants: list[TenantBody]


class KeyList(BaseModel):
    """The keys of one tenant."""

    keys: list[KeyBody]


def tenants_router(
    engine: Engine,
    authorise: Callable[..., Any],
    *,
    rng: RandomBytes = secrets.token_bytes,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` is a dependency that raises for all but administrators."""
    router = APIRouter(prefix="/api", tags=["tenants"], dependencies=[Depends(authorise)])

    @router.get("/tenants")
    async def list_tenants() -> TenantList:
        """List every tenant."""
        return TenantList(tenants=[_tenant(t) for t in await issue.list_tenants(engine)])

    @router.post("/tenants", status_code=201)
    async def create_tenant(body: NewTenantBody) -> TenantBody:
        """Make a tenant."""
        return _tenant(await issue.create_tenant(engine, body.id, body.name, clock()))

    @router.get("/keys")
    async def list_keys(
        tenant_id: Annotated[str, Query(description="Whose keys.")] = DEFAULT_TENANT,
    ) -> KeyList:
        """List the keys of a tenant, revoked ones too."""
        return KeyList(keys=[_key(k) for k in await issue.list_keys(engine, tenant_id)])

    @router.post("/keys", status_code=201)
    async def create_key(body: NewKeyBody) -> IssuedKeyBody:
        """Issue a key; the answer is the only place where its text appears."""
        made = await issue.create_key(
            engine,
            rng,
            body.tenant_id,
            body.name,
            clock(),
            routes=body.routes,
            expires_at=body.expires_at,
            is_admin=body.is_admin,
        )
        return IssuedKeyBody(key=_key(made.key), plaintext=made.plaintext)

    @router.delete("/keys/{id}")
    async def revoke_key(
        id: Annotated[str, Path(description="The id or prefix of the key, never its text.")],
    ) -> KeyBody:
        """End a key, named by id or prefix; gateways refuse it within two seconds."""
        return _key(await issue.revoke_key(engine, id, clock()))

    del list_tenants, create_tenant, list_keys, create_key, revoke_key  # the router holds them
    return router


def _tenant(tenant: Tenant) -> TenantBody:
    return TenantBody(id=tenant.id, name=tenant.name, is_active=tenant.is_active)


def _key(key: VirtualKey) -> KeyBody:
    return KeyBody(
        id=key.id,
        tenant_id=key.tenant_id,
        name=key.name,
        prefix=key.prefix,
        routes=None if key.routes is None else sorted(key.routes),
        is_admin=key.is_admin,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )

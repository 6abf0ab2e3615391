"""``/api/tenants`` and ``/api/keys``: the admin API of tenants and virtual keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from msgspec import UNSET
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.errors import BadRequest
from santral.tenants import issue, organise
from santral.tenants.issue import LONGEST_OVERLAP, KeyTerms, KnownKey
from santral.tenants.key import RandomBytes
from santral.tenants.organise import Remains, TenantLine
from santral.tenants.permission import Authorise, Principal
from santral.tenants.scope import KeyScope
from santral.tenants.tenant import DEFAULT_TENANT, Role, Tenant

#: Longer names are refused by their rules; this keeps what is looked at small. Chosen.
_MOST_TEXT = 1024
Text = Annotated[str, Field(max_length=_MOST_TEXT)]
Names = Annotated[list[Text], Field(max_length=500)]
Id = Annotated[str, Path(max_length=_MOST_TEXT, description="Its id.")]
KeyId = Annotated[
    str, Path(max_length=_MOST_TEXT, description="The id or prefix of the key, never its text.")
]


class Written(BaseModel):
    """What a client writes: a field that does not exist is refused by its name."""

    model_config = ConfigDict(extra="forbid")


class NewTenantBody(Written):
    """A tenant to make."""

    id: Text = Field(description="Lower-case letters, digits, - and _; never changes.")
    name: Text | None = Field(None, description="Its name for people; default is the id.")
    parent_id: Text | None = Field(None, description="The tenant that it is a part of.")


class TenantChangeBody(Written):
    """One change of a tenant."""

    name: Text | None = Field(None, description="Another name; the id stays.")
    is_active: bool | None = Field(
        None, description="Off refuses its keys, and those of every tenant beneath it."
    )
    parent_id: Text | None = Field(
        None, description="The tenant to become a part of; null for none. All beneath comes along."
    )


class KeyTermsBody(Written):
    """What a key is for. In a change, what is left out stays as it is, and null takes a bound away."""

    routes: Names | None = Field(None, description="Routes it may use; default all.")
    models: Names | None = Field(
        None, description="Deployments that may answer it, by name; default all."
    )
    networks: Names | None = Field(
        None, description="Networks it may be used from, such as 10.0.0.0/8; default any."
    )
    scopes: list[KeyScope] | None = Field(None, description="What it may ask for; default all.")
    groups: Names | None = Field(
        None, description="Groups whose documents it may be answered from; default none."
    )
    names_groups: bool = Field(
        False, description="Whether its requests say whose groups, in place of its own."
    )
    expires_at: AwareDatetime | None = Field(None, description="When it ends; default never.")
    role: Role | None = Field(None, description="What it may administer; default nothing.")
    role_over: Text | None = Field(
        None, description="The tenant over which its role holds, or *; default its own tenant."
    )
    owner: Text | None = Field(None, description="The user whose key it is, by id or address.")

    def terms(self, **further: Any) -> KeyTerms:
        """Return the fields that were given."""
        given = {name: getattr(self, name) for name in self.model_fields_set if name in _TERMS}
        return KeyTerms(**given, **further)


_TERMS = frozenset(KeyTermsBody.model_fields)


class NewKeyBody(KeyTermsBody):
    """A key to issue."""

    tenant_id: Text = Field(DEFAULT_TENANT, description="Whose key it is.")
    name: Text = Field(description="What it is for, e.g. the application.")


class KeyChangeBody(KeyTermsBody):
    """Changes of a key."""

    name: Text | None = Field(None, description="Another name.")


class RotationBody(Written):
    """How a key changes its text."""

    overlap_s: float = Field(
        0,
        ge=0,
        le=LONGEST_OVERLAP.total_seconds(),
        description="How long the former text goes on; 0 ends it at once.",
    )


class TenantBody(BaseModel):
    """A tenant."""

    id: str
    name: str
    is_active: bool
    parent_id: str | None


class TenantLineBody(TenantBody):
    """A tenant in the tree."""

    depth: int = Field(description="How far beneath the highest tenant that you see.")
    is_in_force: bool = Field(description="Whether it and all above it are on.")


class RemainsBody(BaseModel):
    """What a deletion took with it, and what it left."""

    tenants: list[str] = Field(description="What was deleted: itself, then what was beneath it.")
    keys: int = Field(description="Keys that ended.")
    busy_keys: int = Field(description="Of them, those used in the last ten minutes.")
    ledger_rows: int = Field(description="Rows of the ledger, which stay.")
    cost_nanousd: int = Field(description="What they cost.")
    documents: int = Field(description="Documents that nobody searches any more.")


class KeyBody(BaseModel):
    """A key without its text, which nobody but its holder knows."""

    id: str
    tenant_id: str
    name: str
    prefix: str
    routes: list[str] | None
    models: list[str] | None
    networks: list[str] | None
    scopes: list[str] | None
    groups: list[str]
    names_groups: bool
    role: str | None
    role_over: str | None
    owner: str | None
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    previous_prefix: str | None = Field(description="Of its former text, where that still works.")
    previous_expires_at: datetime | None = Field(description="When its former text ends or ended.")
    last_used_at: datetime | None = Field(
        None, description="As far as the ledger of the last 90 days knows."
    )


class IssuedKeyBody(BaseModel):
    """A key just issued or rotated: ``plaintext`` is shown this once."""

    key: KeyBody
    plaintext: str


class TenantList(BaseModel):
    """Tenants, each followed by its parts."""

    tenants: list[TenantLineBody]


class KeyList(BaseModel):
    """The keys of one tenant."""

    keys: list[KeyBody]


def tenants_router(
    engine: Engine,
    authorise: Authorise,
    *,
    rng: RandomBytes = secrets.token_bytes,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api", tags=["tenants"])
    _add_tenants(router, engine, authorise, clock)
    _add_keys(router, engine, authorise, rng, clock)
    return router


def _add_tenants(
    router: APIRouter, engine: Engine, authorise: Authorise, clock: Callable[[], datetime]
) -> None:
    reader: Any = Depends(authorise("tenants.read"))
    writer: Any = Depends(authorise("tenants.write"))

    @router.get("/tenants")
    async def list_tenants(by: Principal = reader) -> TenantList:
        """List the tenants that you may see, as a tree."""
        return TenantList(tenants=_lines(await organise.list_tenants(engine, by=by)))

    @router.post("/tenants", status_code=201)
    async def create_tenant(body: NewTenantBody, by: Principal = writer) -> TenantBody:
        """Make a tenant."""
        return _tenant(
            await organise.create_tenant(
                engine, body.id, body.name, clock(), by=by, parent=body.parent_id
            )
        )

    @router.get("/tenants/{id}")
    async def show_tenant(id: Id, by: Principal = reader) -> TenantList:
        """Show a tenant and everything beneath it."""
        return TenantList(tenants=_lines(await organise.show_tenant(engine, id, by=by)))

    @router.patch("/tenants/{id}")
    async def change_tenant(id: Id, body: TenantChangeBody, by: Principal = writer) -> TenantBody:
        """Rename, switch or move a tenant: one of them at a time."""
        if body.model_fields_set == {"name"} and body.name is not None:
            return _tenant(await organise.rename_tenant(engine, id, body.name, by=by))
        if body.model_fields_set == {"is_active"} and body.is_active is not None:
            is_active = body.is_active
            return _tenant(await organise.switch_tenant(engine, id, is_active, clock(), by=by))
        if body.model_fields_set == {"parent_id"}:
            return _tenant(await organise.move_tenant(engine, id, body.parent_id, clock(), by=by))
        raise BadRequest("Change one thing at a time: name, is_active or parent_id.")

    @router.delete("/tenants/{id}")
    async def delete_tenant(
        id: Id,
        force: Annotated[
            bool, Query(description="Whether to go on when something goes with it or stays behind.")
        ] = False,
        by: Principal = writer,
    ) -> RemainsBody:
        """Delete a tenant with everything beneath it; what it spent stays in the ledger."""
        return _remains(await organise.delete_tenant(engine, id, clock(), by=by, is_forced=force))

    del list_tenants, create_tenant, show_tenant, change_tenant, delete_tenant  # the router's


def _add_keys(
    router: APIRouter,
    engine: Engine,
    authorise: Authorise,
    rng: RandomBytes,
    clock: Callable[[], datetime],
) -> None:
    reader: Any = Depends(authorise("keys.read"))
    writer: Any = Depends(authorise("keys.write"))

    @router.get("/keys")
    async def list_keys(
        tenant_id: Annotated[
            str, Query(max_length=_MOST_TEXT, description="Whose keys.")
        ] = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> KeyList:
        """List the keys of a tenant, revoked ones too."""
        return KeyList(
            keys=[
                _key(k, clock()) for k in await issue.list_keys(engine, tenant_id, clock(), by=by)
            ]
        )

    @router.post("/keys", status_code=201)
    async def create_key(body: NewKeyBody, by: Principal = writer) -> IssuedKeyBody:
        """Issue a key; the answer is the only place where its text appears."""
        made = await issue.create_key(
            engine, rng, body.tenant_id, body.name, clock(), by=by, terms=body.terms()
        )
        return IssuedKeyBody(key=_key(KnownKey(made.key, None), clock()), plaintext=made.plaintext)

    @router.get("/keys/{id}")
    async def show_key(id: KeyId, by: Principal = reader) -> KeyBody:
        """Show a key."""
        return _key(await issue.show_key(engine, id, clock(), by=by), clock())

    @router.patch("/keys/{id}")
    async def update_key(id: KeyId, body: KeyChangeBody, by: Principal = writer) -> KeyBody:
        """Change what a key is for; gateways follow within two seconds."""
        if "name" in body.model_fields_set and body.name is None:
            raise BadRequest("A key has a name.", param="name")
        terms = body.terms(name=UNSET if body.name is None else body.name)
        changed = await issue.update_key(engine, id, terms, clock(), by=by)
        return _key(KnownKey(changed, None), clock())

    @router.post("/keys/{id}/rotate")
    async def rotate_key(id: KeyId, body: RotationBody, by: Principal = writer) -> IssuedKeyBody:
        """Give a key a new text; the former one works until the overlap is over."""
        overlap = timedelta(seconds=body.overlap_s)
        made = await issue.rotate_key(engine, rng, id, clock(), by=by, overlap=overlap)
        return IssuedKeyBody(key=_key(KnownKey(made.key, None), clock()), plaintext=made.plaintext)

    @router.delete("/keys/{id}")
    async def revoke_key(id: KeyId, by: Principal = writer) -> KeyBody:
        """End a key, named by id or prefix; gateways refuse it within two seconds."""
        ended = await issue.revoke_key(engine, id, clock(), by=by)
        return _key(KnownKey(ended, None), clock())

    del list_keys, create_key, show_key, update_key, rotate_key, revoke_key  # the router's


def _tenant(tenant: Tenant) -> TenantBody:
    return TenantBody(
        id=tenant.id, name=tenant.name, is_active=tenant.is_active, parent_id=tenant.parent_id
    )


def _lines(lines: list[TenantLine]) -> list[TenantLineBody]:
    return [
        TenantLineBody(
            **_tenant(line.tenant).model_dump(), depth=line.depth, is_in_force=line.is_in_force
        )
        for line in lines
    ]


def _remains(remains: Remains) -> RemainsBody:
    return RemainsBody(
        tenants=list(remains.tenants),
        keys=remains.keys,
        busy_keys=remains.busy_keys,
        ledger_rows=remains.ledger_rows,
        cost_nanousd=remains.cost_nanousd,
        documents=remains.documents,
    )


def _key(known: KnownKey, now: datetime) -> KeyBody:
    key = known.key
    has_former = key.previous_expires_at is not None and key.previous_expires_at > now
    return KeyBody(
        id=key.id,
        tenant_id=key.tenant_id,
        name=key.name,
        prefix=key.prefix,
        routes=_listed(key.routes),
        models=_listed(key.models),
        networks=None if key.networks is None else list(key.networks),
        scopes=_listed(key.scopes),
        groups=sorted(key.groups),
        names_groups=key.names_groups,
        role=key.role,
        role_over=key.role_over,
        owner=key.user_id,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        previous_prefix=key.previous_prefix if has_former else None,
        previous_expires_at=key.previous_expires_at,
        last_used_at=known.last_used_at,
    )


def _listed(names: frozenset[Any] | None) -> list[str] | None:
    return None if names is None else sorted(names)

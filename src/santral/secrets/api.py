"""``/api/secrets``: names of sealed secrets; values go in and never come out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from santral.audit.note import Actor
from santral.db.engine import Engine
from santral.secrets import change
from santral.secrets.opened import EVERYBODY
from santral.secrets.rotate import rotate
from santral.secrets.row import SecretRow
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import Wrappers


class Administrator(Protocol):
    """Who asks, and what they may do."""

    @property
    def actor(self) -> Actor:
        """Who the audit log names."""
        ...

    def require(self, action: Any, tenant: Any) -> None:
        """Refuse what it may not do."""
        ...


class NewSecretBody(BaseModel):
    """A secret to seal."""

    model_config = ConfigDict(extra="forbid")

    value: SecretStr = Field(description="The secret; it never comes back.")


class SecretBody(BaseModel):
    """A sealed secret without its value."""

    name: str
    updated_at: datetime
    data_key: str


class SecretList(BaseModel):
    """Every sealed secret, by name."""

    secrets: list[SecretBody]


class RotatedBody(BaseModel):
    """What a rotation did."""

    data_key: str
    resealed: int
    is_resumed: bool


def secrets_router(
    engine: Engine,
    wrappers: Callable[[], Wrappers],
    authorise: Callable[[Any], Callable[..., Any]],
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints.

    ``wrappers`` gives what wraps data keys, or raises ConfigError where nothing is configured;
    ``authorise`` makes the dependency that says who administers.
    """
    router = APIRouter(prefix="/api", tags=["secrets"])
    reader: Any = Depends(authorise("secrets.read"))
    writer: Any = Depends(authorise("secrets.write"))

    @router.get("/secrets")
    async def list_secrets(who: Any = reader) -> SecretList:
        """List the names of the sealed secrets."""
        _require(who, "secrets.read")
        return SecretList(secrets=[_body(row) for row in await change.list_secrets(engine)])

    @router.put("/secrets/{name}")
    async def set_secret(name: _Name, body: NewSecretBody, who: Any = writer) -> SecretBody:
        """Seal a secret; gateways use it within two seconds."""
        actor = _require(who, "secrets.write")
        value = body.value.get_secret_value()
        sealer = Sealer(engine, wrappers())
        row = await change.set_secret(engine, sealer, name, value, clock(), actor=actor)
        return _body(row)

    @router.delete("/secrets/{name}", status_code=204)
    async def remove_secret(name: _Name, who: Any = writer) -> None:
        """Remove a sealed secret."""
        await change.remove_secret(engine, name, actor=_require(who, "secrets.write"))

    @router.post("/secrets/rotate")
    async def rotate_secrets(who: Any = writer) -> RotatedBody:
        """Make a new data key and seal every secret anew."""
        actor = _require(who, "secrets.write")
        done = await rotate(engine, wrappers(), actor=actor)
        return RotatedBody(data_key=done.key_id, resealed=done.resealed, is_resumed=done.is_resumed)

    del list_secrets, set_secret, remove_secret, rotate_secrets  # the router holds them
    return router


_Name = Annotated[str, Path(max_length=128, description="Its name.")]


def _require(who: Administrator, action: str) -> Actor:
    who.require(action, EVERYBODY)
    return who.actor


def _body(row: SecretRow) -> SecretBody:
    return SecretBody(name=row.name, updated_at=row.updated_at, data_key=row.data_key_id)

"""``/api/limits``: the admin API of limits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.quota.change import KnownRule, remove_rule, set_rules, show_rules
from santral.quota.limits import default_uncoordinated
from santral.quota.rule import Measure, Rule, Scope, ScopeKind, Uncoordinated, WindowName
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT


class LimitBody(BaseModel):
    """A limit to set, in place of the one for the same scope, measure and window."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(description="Whose limit; `*` is the installation's.")
    scope: ScopeKind = Field("tenant", description="Whom it binds.")
    scope_id: str | None = Field(
        None,
        description="Which one: an id, a key's prefix, `name=value` of a tag, or `*` for each one by "
        "itself; of scope `tenant` the default is the tenant.",
    )
    measure: Measure = Field(description="What it counts.")
    window: WindowName = Field("", description="Over which time; empty for concurrent requests.")
    is_rolling: bool = Field(
        False, description="Whether the window ends now, not at a calendar's line."
    )
    amount: int | None = Field(None, description="Requests, tokens, or nano-dollars (10^-9 USD).")
    rate: float | None = Field(None, description="Requests per second, in place of an amount.")
    burst: int | None = Field(
        None, description="Requests at once under a rate; default is the rate."
    )
    time_zone: str = Field(
        "UTC", description="Where a calendar window begins, e.g. Europe/Istanbul."
    )
    wait_s: float = Field(0.0, description="How long a request may wait for room, in seconds.")
    fall_to: str = Field("", description="The deployment that answers once it is used up.")
    warn_at: list[float] = Field(
        default_factory=list[float],
        description="Fractions at which callers and `webhook` are told.",
    )
    webhook: str = Field("", description="Where alerts go.")
    uncoordinated: Uncoordinated | None = Field(
        None,
        description="What holds while Redis does not answer; default is refuse for usd, else share.",
    )
    is_dry_run: bool = Field(False, description="Count and show, refuse nothing.")


class KnownLimit(LimitBody):
    """A limit in force."""

    id: str
    name: str = Field("", description="Of the key, where it binds one.")
    is_declared: bool = Field(False, description="Whether it comes from the configuration.")


class LimitList(BaseModel):
    """The limits that hold for a tenant."""

    limits: list[KnownLimit]


def limits_router(
    engine: Engine,
    authorise: Authorise,
    *,
    declared: Callable[[], Sequence[Rule]] = lambda: (),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: f"lim_{secrets.token_hex(8)}",
) -> APIRouter:
    """Return the endpoints; ``declared`` are the rules of the configuration."""
    router = APIRouter(prefix="/api", tags=["limits"])
    reader: Any = Depends(authorise("limits.read"))
    writer: Any = Depends(authorise("limits.write"))

    @router.get("/limits")
    async def get_limits(
        tenant_id: Annotated[str, Query(description="Whose limits.")] = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> LimitList:
        """Show the limits that hold for a tenant."""
        rows = await show_rules(engine, tenant_id, declared(), by=by)
        return LimitList(limits=[_body(row) for row in rows])

    @router.put("/limits")
    async def put_limit(body: LimitBody, by: Principal = writer) -> KnownLimit:
        """Set a limit; gateways follow within two seconds."""
        made = await set_rules(engine, [_rule(body)], clock(), new_id=new_id, by=by)
        return _body(KnownRule(rule=made[0]))

    @router.delete("/limits/{id}")
    async def delete_limit(
        id: Annotated[str, Path(description="The limit's id.")],
        by: Principal = writer,
    ) -> KnownLimit:
        """Remove a limit; gateways follow within two seconds."""
        return _body(KnownRule(rule=await remove_rule(engine, id, by=by)))

    del get_limits, put_limit, delete_limit  # the router holds them
    return router


def _rule(body: LimitBody) -> Rule:
    return Rule(
        id="",
        tenant_id=body.tenant_id,
        scope=Scope(body.scope, _scope_id(body)),
        measure=body.measure,
        window=body.window,
        is_rolling=body.is_rolling,
        amount=body.amount,
        rate=body.rate,
        burst=body.burst,
        time_zone=body.time_zone,
        wait_s=body.wait_s,
        fall_to=body.fall_to,
        warn_at=tuple(body.warn_at),
        webhook=body.webhook,
        uncoordinated=body.uncoordinated or default_uncoordinated(body.measure),
        is_dry_run=body.is_dry_run,
    )


def _scope_id(body: LimitBody) -> str:
    """Return whom a limit binds: the tenant may be left out, and nobody else."""
    if body.scope_id is not None:
        return body.scope_id
    return body.tenant_id if body.scope == "tenant" else ""


def _body(known: KnownRule) -> KnownLimit:
    rule = known.rule
    return KnownLimit(
        id=rule.id,
        name=known.name,
        is_declared=known.is_declared,
        tenant_id=rule.tenant_id,
        scope=rule.scope.kind,
        scope_id=rule.scope.id,
        measure=rule.measure,
        window=rule.window,
        is_rolling=rule.is_rolling,
        amount=rule.amount,
        rate=rule.rate,
        burst=rule.burst,
        time_zone=rule.time_zone,
        wait_s=rule.wait_s,
        fall_to=rule.fall_to,
        warn_at=list(rule.warn_at),
        webhook=rule.webhook,
        uncoordinated=rule.uncoordinated,
        is_dry_run=rule.is_dry_run,
    )

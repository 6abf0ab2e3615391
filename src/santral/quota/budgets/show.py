"""Budgets with what is left of them and when they will be used up: for command line and admin API."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from santral.db.engine import Engine, reading
from santral.errors import BadRequest, NotFound
from santral.quota.budgets import store as alerts
from santral.quota.budgets.alert import Alert
from santral.quota.budgets.burn import read_burns
from santral.quota.budgets.forecast import Burn, Forecast, forecast
from santral.quota.change import show_rules
from santral.quota.rule import Rule
from santral.quota.store import find_rule
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId


class Outlook(Struct, frozen=True, kw_only=True):
    """A budget of one scope, and where it is going. Amounts are in nano-USD."""

    rule: Rule
    scope_id: str
    forecast: Forecast


async def show_budgets(
    engine: Engine, tenant: str, declared: Sequence[Rule], now_s: int, *, by: Principal
) -> list[Outlook]:
    """Return the budgets that hold for a tenant, those of the configuration too.

    Raises:
        NotFound: no such tenant.
    """
    known = await show_rules(engine, tenant, declared, by=by)
    return await _outlooks(engine, [row.rule for row in known], now_s, by)


async def show_budget(engine: Engine, rule_id: str, now_s: int, *, by: Principal) -> list[Outlook]:
    """Return one budget, an entry for each scope that it binds and that spent something.

    Raises:
        NotFound: no such limit.
        BadRequest: it is no budget: it does not count dollars.
    """
    async with reading(engine) as conn:
        rule = await find_rule(conn, rule_id)
    if rule is None or not by.may("limits.read", TenantId(rule.tenant_id)):
        raise NotFound(
            f"There is no limit '{rule_id[:64]}'. List them with: santral budgets show", param="id"
        )
    if rule.measure != "usd":
        raise BadRequest(f"The limit '{rule.id}' counts {rule.measure}, not dollars.", param="id")
    return await _outlooks(engine, [rule], now_s, by)


async def show_alerts(
    engine: Engine, tenant: str | None, limit: int, *, by: Principal
) -> list[Alert]:
    """Return the latest alerts of a tenant, or of all whose limits ``by`` may read.

    Raises:
        NotFound: no such tenant.
    """
    if tenant is not None:
        by.require("limits.read", TenantId(tenant))
        visible: Sequence[str] | None = [tenant]
    else:
        seen = by.tenants("limits.read")
        visible = None if seen is None else sorted(seen)
    async with reading(engine) as conn:
        return await alerts.list_alerts(conn, visible, limit)


async def _outlooks(
    engine: Engine, rules: Sequence[Rule], now_s: int, by: Principal
) -> list[Outlook]:
    budgets = [rule for rule in rules if rule.measure == "usd"]
    async with reading(engine) as conn:
        burns = await read_burns(conn, budgets, now_s)
    return [
        Outlook(rule=burn.rule, scope_id=burn.scope_id, forecast=forecast(burn, now_s))
        for burn in burns
        if _may_see(burn, by)
    ]


def _may_see(burn: Burn, by: Principal) -> bool:
    """Whether the use of an account may be shown: a rule for each tenant has accounts of others too."""
    if burn.rule.scope.kind == "tenant":
        return by.may("limits.read", TenantId(burn.scope_id))
    return by.may("limits.read", TenantId(burn.rule.tenant_id))

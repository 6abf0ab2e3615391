"""Pages of limits and budgets: what holds for a tenant, what is used of it, setting and removing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from fastapi import Response
from msgspec import Struct

from santral.console.form import Form
from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.db.engine import reading
from santral.errors import BadRequest
from santral.quota.budgets.burn import read_burns
from santral.quota.budgets.forecast import Burn, Outlook, forecast
from santral.quota.change import KnownRule, remove_rule, set_rules, show_rules
from santral.quota.limits import default_rules, default_uncoordinated, nano
from santral.quota.rule import MEASURES, SCOPE_KINDS, WINDOWS, Measure, Rule, Scope
from santral.tenants.tenant import EVERYWHERE, TenantId


class Seen(Struct, frozen=True, kw_only=True):
    """How much of a limit is used, and what is to come; ``scope_id`` says whose, of one for each."""

    scope_id: str
    used: int
    left: int
    limit: int
    per_hour: int
    outlook: Outlook
    likely_at: datetime | None
    earliest_at: datetime | None


class LimitPages:
    """The pages over limits; a budget is a limit in dollars."""

    def __init__(self, frame: Frame) -> None:
        self._declared = default_rules(frame.config.limits)
        frame.show("/limits", self.list)
        frame.act("/limits", self.set, self.list)
        frame.act("/limits/remove", self.remove, self.list)

    async def list(self, visit: Visit) -> Response:
        """The limits that hold for a tenant, and the form that sets one."""
        choices = await tenant_choices(visit, "limits.read")
        tenant = pick_tenant(visit, choices, "limits.read")
        known = await show_rules(visit.engine, tenant, self._declared, by=visit.principal)
        return visit.page(
            "limits.html",
            tenant=tenant,
            choices=choices,
            may_everywhere=visit.principal.may("limits.read", EVERYWHERE),
            budgets=[row for row in known if row.rule.measure == "usd"],
            others=[row for row in known if row.rule.measure != "usd"],
            may_set=visit.principal.may("limits.write", tenant),
            may_remove={row.rule.id for row in known if _may_remove(visit, row)},
            kinds=SCOPE_KINDS,
            measures=MEASURES,
            windows=[window for window in WINDOWS if window],
            seen=await _seen(visit, tenant, known),
        )

    async def set(self, visit: Visit) -> Response:
        """Set a limit, in place of the one for the same scope, measure and window."""
        tenant, rng = visit.form("tenant"), visit.rng
        rule = read_rule(visit.form, tenant)
        await set_rules(
            visit.engine,
            [rule],
            visit.now,
            new_id=lambda: f"lim_{rng(8).hex()}",
            by=visit.principal,
        )
        return visit.done("done_changed", "/limits", tenant=tenant)

    async def remove(self, visit: Visit) -> Response:
        """Remove a limit."""
        await remove_rule(visit.engine, visit.form("id"), by=visit.principal)
        return visit.done("done_removed", "/limits", tenant=visit.form("tenant"))


def read_rule(form: Form, tenant: str) -> Rule:
    """Return the limit that a form describes; dollars are written as dollars.

    Raises:
        BadRequest: a number is none. What a limit may say is checked where limits are set.
    """
    measure = cast("Measure", form("measure"))
    window: Any = "" if measure == "concurrent" else form("window")
    amount, is_rate = form.number("amount"), window == "second"
    if amount is None:
        raise BadRequest("Say how much: an amount above zero.", param="amount")
    kind: Any = form("kind") or "tenant"
    return Rule(
        id="",
        tenant_id=tenant,
        scope=Scope(kind, form("scope_id") or (tenant if kind == "tenant" else "*")),
        measure=measure,
        window=window,
        is_rolling=form("rolling") == "yes",
        amount=None if is_rate else nano(amount) if measure == "usd" else _whole(amount),
        rate=amount if is_rate else None,
        burst=None if (burst := form.number("burst")) is None else _whole(burst),
        time_zone=form("time_zone") or "UTC",
        wait_s=form.number("wait_s") or 0.0,
        fall_to=form("fall_to"),
        warn_at=_fractions(form("warn_at")),
        webhook=form("webhook"),
        uncoordinated=default_uncoordinated(measure),
        is_dry_run=form("dry_run") == "yes",
    )


async def _seen(visit: Visit, tenant: TenantId, known: list[KnownRule]) -> dict[str, Seen]:
    """Return by rule what is used of it: by the tenant, or by the scope that used most."""
    now_s = int(visit.now.timestamp())
    async with reading(visit.engine) as conn:
        burns = await read_burns(conn, [row.rule for row in known], now_s)
    may_everywhere = visit.principal.may("limits.read", EVERYWHERE)
    found: dict[str, Burn] = {}
    for burn in sorted(burns, key=lambda b: (b.scope_id == tenant, b.spent)):
        # A rule of the installation counts for tenants that this reader may not see.
        if burn.scope_id == tenant or burn.rule.tenant_id != EVERYWHERE or may_everywhere:
            found[burn.rule.id] = burn
    return {id_: _read(burn, now_s) for id_, burn in found.items()}


def _read(burn: Burn, now_s: int) -> Seen:
    ahead = forecast(burn, now_s)
    return Seen(
        scope_id=burn.scope_id,
        used=ahead.spent,
        left=ahead.left,
        limit=burn.rule.limit,
        per_hour=round(ahead.per_hour),
        outlook=ahead.outlook,
        likely_at=_moment(ahead.likely_s),
        earliest_at=_moment(ahead.earliest_s),
    )


def _moment(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # thousands of years ahead
        return None


def _whole(number: float) -> int:
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise BadRequest(f"'{number:g}' is not a whole number.", param="amount")
    return int(number)


def _fractions(text: str) -> tuple[float, ...]:
    """Return percentages such as ``50, 80`` as fractions."""
    parts = text.replace("%", " ").replace(",", " ").replace(";", " ").split()
    try:
        return tuple(float(part) / 100 for part in parts)
    except ValueError:
        raise BadRequest(
            f"'{text[:40]}': write percentages such as 50, 80.", param="warn_at"
        ) from None


def _may_remove(visit: Visit, row: KnownRule) -> bool:
    return not row.is_declared and visit.principal.may("limits.write", TenantId(row.rule.tenant_id))

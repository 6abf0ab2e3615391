"""Limits in the words of settings and commands: a name for each measure and window."""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import asdict

from santral.config.limits import LimitsConfig
from santral.errors import BadRequest
from santral.quota.rule import (
    DECLARED,
    EACH,
    NANO_PER_USD,
    Measure,
    Rule,
    Scope,
    Uncoordinated,
    WindowName,
)
from santral.tenants.tenant import EVERYWHERE

#: Name -> what it counts, and over which time. Minutes and hours roll: a calendar minute would let
#: twice as much through around its end. Days and longer begin with the calendar, as bills do.
NAMED: dict[str, tuple[Measure, WindowName]] = {
    "requests_per_second": ("requests", "second"),
    "requests_per_minute": ("requests", "minute"),
    "requests_per_day": ("requests", "day"),
    "tokens_per_minute": ("tokens", "minute"),
    "tokens_per_day": ("tokens", "day"),
    "concurrent_requests": ("concurrent", ""),
    "usd_per_hour": ("usd", "hour"),
    "usd_per_day": ("usd", "day"),
    "usd_per_week": ("usd", "week"),
    "usd_per_month": ("usd", "month"),
}
ROLLING: tuple[WindowName, ...] = ("minute", "hour")


class Limits(Struct, frozen=True, kw_only=True):
    """How much one scope may use; ``None`` is no limit. Dollars are exact to the nano-dollar."""

    requests_per_second: float | None = None
    burst: int | None = None
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent_requests: int | None = None
    usd_per_hour: float | None = None
    usd_per_day: float | None = None
    usd_per_week: float | None = None
    usd_per_month: float | None = None

    def rules(self, tenant_id: str, scope: Scope, *, id_: str = "") -> Iterator[Rule]:
        """Return a rule for each limit that is set; ``id_`` and the limit's name make its id."""
        for name, value in asdict(self).items():
            if value is not None and name != "burst":
                yield rule_named(name, value, tenant_id, scope, id_=id_, burst=self.burst)


def rule_named(
    name: str, value: float, tenant_id: str, scope: Scope, *, id_: str, burst: int | None = None
) -> Rule:
    """Return the rule that a named limit stands for."""
    measure, window = NAMED[name]
    is_rate = window == "second"
    return Rule(
        id=f"{id_}{name}",
        tenant_id=tenant_id,
        scope=scope,
        measure=measure,
        window=window,
        is_rolling=window in ROLLING,
        amount=None if is_rate else nano(value) if measure == "usd" else int(value),
        rate=float(value) if is_rate else None,
        burst=burst if is_rate else None,
        uncoordinated=default_uncoordinated(measure),
    )


def default_uncoordinated(measure: Measure) -> Uncoordinated:
    """Return what holds while Redis is away: money is never guessed, the rest is shared out."""
    return "refuse" if measure == "usd" else "share"


def nano(usd: float) -> int:
    """Return dollars as nano-dollars.

    Raises:
        BadRequest: no number.
    """
    if not math.isfinite(usd):
        raise BadRequest("amount: dollars are a number above zero.", param="amount")
    return round(usd * NANO_PER_USD)


def default_rules(config: LimitsConfig) -> list[Rule]:
    """Return the limits that the configuration gives to each tenant without one of its own."""
    given = {name: getattr(config, name) for name in Limits.__struct_fields__}
    return list(Limits(**given).rules(EVERYWHERE, Scope("tenant", EACH), id_=DECLARED))

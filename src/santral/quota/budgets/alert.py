"""What is said about a limit, once for each of its windows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from santral.quota.answer import amount_text
from santral.quota.budgets.forecast import Burn, Forecast, forecast, window_key_s
from santral.quota.rule import NANO_PER_USD, Rule

FORECAST, SPENT = "forecast", "spent"

#: A forecast is told of when so much of its window is used at least: the first request of a month is
#: no reason to call anybody. Chosen.
_TOLD_FROM = 0.1

#: Rule, scope, window and kind of what was told already.
Told = set[tuple[str, str, datetime, str]]


class Alert(Struct, frozen=True, kw_only=True):
    """One alert, and how far its delivery is."""

    id: str
    tenant_id: str
    limit_id: str
    scope_id: str
    window_start: datetime
    kind: str  # warned at 0.8, forecast, spent
    body: dict[str, Any]
    created_at: datetime
    delivered_at: datetime | None = None
    next_try_at: datetime | None = None  # None: delivered, given up, or nobody is to be told
    tries: int = 0
    error: str = ""

    @property
    def webhook(self) -> str:
        """Where it goes; empty: nowhere."""
        return self.body.get("webhook", "")


def alerts_for(
    burns: Iterable[Burn],
    told: Told,
    now: datetime,
    new_id: Callable[[], str] = lambda: f"alr_{secrets.token_hex(12)}",
) -> list[Alert]:
    """Return what there is to tell now and was not told before.

    Of several lines that were crossed at once the highest alone is sent; the others are noted.
    """
    made: list[Alert] = []
    for burn in burns:
        start = datetime.fromtimestamp(window_key_s(burn.rule, burn.start_s), UTC)
        kinds = [
            kind
            for kind in _kinds(burn, now)
            if (burn.rule.id, burn.scope_id, start, kind) not in told
        ]
        made += [
            _alert(new_id(), burn, kind, start, now, is_sent=kind == kinds[-1]) for kind in kinds
        ]
    return made


def _kinds(burn: Burn, now: datetime) -> list[str]:
    """Return what holds of a budget now, the most urgent last."""
    rule = burn.rule
    found: list[str] = []
    if rule.measure == "usd" and burn.spent >= _TOLD_FROM * rule.limit:
        seen = forecast(burn, int(now.timestamp()))
        is_known = seen.low_per_hour > 0  # what began just now says nothing of the hours to come
        if seen.outlook == "before the end" and seen.end_s is not None and is_known:
            found.append(FORECAST)
    found += [
        f"warned at {fraction:g}"
        for fraction in sorted(rule.warn_at)
        if fraction < 1 and burn.spent >= fraction * rule.limit
    ]
    if burn.spent >= rule.limit:
        found.append(SPENT)
    return found


def _alert(
    id_: str, burn: Burn, kind: str, start: datetime, now: datetime, *, is_sent: bool
) -> Alert:
    rule = burn.rule
    return Alert(
        id=id_,
        tenant_id=rule.tenant_id,
        limit_id=rule.id,
        scope_id=burn.scope_id,
        window_start=start,
        kind=kind,
        body=_body(id_, burn, kind, start, now),
        created_at=now,
        next_try_at=now if is_sent and rule.webhook else None,
        error="" if is_sent else "a higher line was crossed at the same time",
    )


def _body(id_: str, burn: Burn, kind: str, start: datetime, now: datetime) -> dict[str, Any]:
    rule = burn.rule
    seen = forecast(burn, int(now.timestamp())) if rule.measure == "usd" else None
    return {
        "id": id_,
        "kind": kind,
        "text": _text(burn, kind, seen),
        "tenant_id": rule.tenant_id,
        "limit_id": rule.id,
        "scope": f"{rule.scope.kind}:{burn.scope_id}",
        "measure": rule.measure,
        "window": rule.window,
        "window_start": start.isoformat(),
        "used": burn.spent,
        "limit": rule.limit,
        "unit": "nano-USD" if rule.measure == "usd" else rule.measure,
        "used_up_at": _iso(seen.likely_s) if seen is not None else None,
        "webhook": rule.webhook,
    }


def _text(burn: Burn, kind: str, seen: Forecast | None) -> str:
    rule = burn.rule
    share = f"{burn.spent / rule.limit:.0%}"
    whose = f"{rule.scope.kind} {burn.scope_id}"
    said = f"Santral: the limit of {amount_text(rule)} for {whose} is used to {share}"
    if rule.measure == "usd":
        said += f" ({burn.spent / NANO_PER_USD:.2f} USD)"
    if kind == SPENT:
        return f"{said}: it is spent. {_consequence(rule)}"
    if kind == FORECAST and seen is not None:
        earliest, latest = _iso(seen.earliest_s), _iso(seen.latest_s)
        between = f"between {earliest} and {latest or 'the end of its window'}"
        return f"{said} and will be spent before its end: likely {_iso(seen.likely_s)}, {between}."
    return f"{said}."


def _consequence(rule: Rule) -> str:
    if rule.is_dry_run:
        return "It is on trial and refuses nothing."
    if rule.fall_to:
        return f"Requests are answered by {rule.fall_to}."
    return "Requests are refused."


def _iso(moment_s: int | None) -> str | None:
    if moment_s is None:
        return None
    try:
        return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="minutes")
    except (ValueError, OverflowError, OSError):  # so far away that no calendar has it
        return None


def next_try(tries: int, share: float) -> timedelta:
    """Return how long to wait after a failed try: doubled each time up to an hour, by chance less.

    ``share`` is a random number from 0 to 1.
    """
    whole = min(3600.0, 5.0 * 2 ** min(tries, 20))
    return timedelta(seconds=whole * (0.5 + 0.5 * share))

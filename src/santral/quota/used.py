"""What the ledger says was used under each limit: where a limiter begins that knows nothing yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from santral.quota.claim import Used, account_of, kind_of
from santral.quota.rule import EACH, Rule, ScopeKind
from santral.quota.window import LENGTH_S, calendar
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.tree import TenantTree

#: Limits whose windows are shorter are not seeded: what was used has left before it is read. Chosen.
_SHORTEST_S = LENGTH_S["minute"]


class UsedRow(Struct, frozen=True, array_like=True):
    """What one tenant used through one key, route, user, model or set of tags, from a moment on."""

    tenant_id: str
    id: str
    requests: int
    tokens: int
    nanousd: int
    other: str = ""  # of a model: the deployment


#: Asks the ledger: of a kind of scope, from a moment on (seconds since 1970).
Sums = Callable[[ScopeKind, int], Awaitable[Sequence[UsedRow]]]


#: Asks the ledger: of a kind of scope, from one moment up to another, or on.
SumsBetween = Callable[[ScopeKind, int, int | None], Awaitable[Sequence[UsedRow]]]

_DAY_S = LENGTH_S["day"]


class DaySums:
    """Sums of the ledger that remember whole days which are over: a month is not read again each time.

    Days before yesterday are read once a day; a row that comes later than that counts from the next
    day on.
    """

    def __init__(self) -> None:
        self._today = 0
        self._days: dict[tuple[ScopeKind, int], Sequence[UsedRow]] = {}

    async def since(
        self, between: SumsBetween, now: float, kind: ScopeKind, since_s: int
    ) -> list[UsedRow]:
        """Return what was used from a moment on, by tenant and by whom, perhaps in several rows each."""
        today = int(now // _DAY_S)
        if today != self._today:
            self._today, self._days = today, {}
        first, last = -(-since_s // _DAY_S), today - 1
        if first >= last:
            return [*await between(kind, since_s, None)]
        rows = [*await between(kind, since_s, first * _DAY_S)] if since_s % _DAY_S else []
        for day in range(first, last):
            if (kind, day) not in self._days:
                begin = day * _DAY_S
                self._days[kind, day] = await between(kind, begin, begin + _DAY_S)
            rows += self._days[kind, day]
        return [*rows, *(await between(kind, last * _DAY_S, None))]


async def used_under(
    rules: Iterable[Rule], tree: TenantTree, sums: Sums, now: float
) -> dict[str, Used]:
    """Return by account what was used in the window that runs; accounts without use are left out."""
    known: dict[tuple[ScopeKind, int], Sequence[UsedRow]] = {}
    used: dict[str, Used] = {}
    for rule in rules:
        start = window_start(rule, now)
        if start is None:
            continue
        place = (rule.scope.kind, start)
        if place not in known:
            known[place] = await sums(*place)
        for row in known[place]:
            if rule.tenant_id == EVERYWHERE or tree.is_within(
                TenantId(row.tenant_id), TenantId(rule.tenant_id)
            ):
                _add(used, rule, tree, row, start)
    return used


def window_start(rule: Rule, now: float) -> int | None:
    """Return when the window that runs began, in seconds since 1970; None where the ledger has no say."""
    if kind_of(rule) in ("held", "bucket") or LENGTH_S[rule.window] < _SHORTEST_S:
        return None
    if rule.is_rolling:
        return int(now) - LENGTH_S[rule.window]
    return calendar(rule.window, rule.time_zone).at(now)


def _add(used: dict[str, Used], rule: Rule, tree: TenantTree, row: UsedRow, start: int) -> None:
    amount = {"requests": row.requests, "tokens": row.tokens, "usd": row.nanousd}[rule.measure]
    if amount <= 0:
        return
    for id_ in _ids(rule, tree, row):
        account = account_of(rule, id_)
        had = used.get(account)
        used[account] = Used(start, amount + (had.amount if had is not None else 0))


def _ids(rule: Rule, tree: TenantTree, row: UsedRow) -> list[str]:
    """Return the ids of the rule's accounts to which a row belongs, as ``LimitBook`` names them."""
    kind, id_ = rule.scope
    if kind == "tenant":
        if id_ == EACH:
            return [row.tenant_id]
        return [id_] if tree.is_within(TenantId(row.tenant_id), TenantId(id_)) else []
    if kind == "tag":
        tags: dict[str, str] = msgspec.json.decode(row.id or "{}")
        names = [f"{name}={value}" for name, value in tags.items()]
        if id_ == EACH:
            return names
        prefix = id_[:-1] if id_.endswith("=*") else None
        return [n for n in names if n == id_ or (prefix is not None and n.startswith(prefix))]
    if kind == "model" and id_ == row.other:
        return [id_]
    if not row.id or id_ not in (EACH, row.id):
        return []
    if kind == "user" and rule.tenant_id == EVERYWHERE:
        return [f"{row.tenant_id}/{row.id}"]
    return [row.id]

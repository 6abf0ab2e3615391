"""Reads how much of every limit is used, and how fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from santral.db.engine import Connection
from santral.quota.budgets import store
from santral.quota.budgets.forecast import HOURS, Burn, has_window
from santral.quota.claim import Used, account_of
from santral.quota.rule import EACH, Rule, ScopeKind
from santral.quota.store import used_since
from santral.quota.used import DaySums, UsedRow, used_under, window_start
from santral.tenants.store import load_tree
from santral.tenants.tree import TenantTree


async def read_burns(
    conn: Connection, rules: Iterable[Rule], now_s: int, days: DaySums | None = None
) -> list[Burn]:
    """Return an entry for each account of ``rules`` that used something, and for each named scope.

    ``days`` remembers what was summed before.
    """
    meant = [rule for rule in rules if has_window(rule)]
    tree = await load_tree(conn)
    sums = partial((days or DaySums()).since, partial(used_since, conn), now_s)
    used = await used_under(meant, tree, sums, now_s)
    hourly = await _by_hour(conn, meant, tree, now_s)
    named = {(rule.scope.kind, rule.scope.id, *rule.place[3:]) for rule in meant}
    return [
        _burn(rule, id_, used, hourly, now_s)
        for rule in meant
        for id_ in _scope_ids(rule, used)
        if id_ == rule.scope.id or (rule.scope.kind, id_, *rule.place[3:]) not in named
    ]


async def _by_hour(
    conn: Connection, rules: Sequence[Rule], tree: TenantTree, now_s: int
) -> list[dict[str, Used]]:
    """Return by hour, the running one first, what each account of a budget spent."""
    budgets = [replace(rule, is_rolling=True) for rule in rules if rule.measure == "usd"]
    kinds: set[ScopeKind] = {rule.scope.kind for rule in budgets}
    rows = {kind: await store.spent_by_hour(conn, kind, now_s, HOURS) for kind in kinds}

    async def sums(hour: int, kind: ScopeKind, _: int) -> Sequence[UsedRow]:
        return rows[kind].get(hour, [])

    return [await used_under(budgets, tree, partial(sums, hour), now_s) for hour in range(HOURS)]


def _scope_ids(rule: Rule, used: dict[str, Used]) -> list[str]:
    """Return whose accounts of a rule there are: of one for each, those that used something."""
    if rule.scope.id != EACH and not rule.scope.id.endswith("=*"):
        return [rule.scope.id]
    head = account_of(rule, "")
    return sorted(account.removeprefix(head) for account in used if account.startswith(head))


def _burn(
    rule: Rule, id_: str, used: dict[str, Used], hourly: Sequence[dict[str, Used]], now_s: int
) -> Burn:
    account = account_of(rule, id_)
    nothing = Used(window_start(rule, now_s) or now_s, 0)
    there = used.get(account, nothing)
    hours = [hour[account].amount if account in hour else 0 for hour in hourly]
    return Burn(rule=rule, scope_id=id_, spent=there.amount, start_s=there.start, hours=hours)

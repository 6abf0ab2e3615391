"""A rule as it applies to one request: which account it looks at, and how much it takes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from santral.quota.rule import Measure, Rule
from santral.quota.window import Calendar, calendar, part_s
from santral.tenants.tenant import EVERYWHERE

#: How an account counts: a bucket that fills, a calendar window, a rolling one, requests held.
Kind = Literal["bucket", "calendar", "rolling", "held"]


class Need(Struct, frozen=True):
    """The worst case of one request, or what it came to."""

    tokens: int = 0
    nanousd: int = 0

    def of(self, measure: Measure) -> int:
        """Return how much of a measure that is."""
        if measure == "tokens":
            return self.tokens
        return self.nanousd if measure == "usd" else 1


class Used(Struct, frozen=True, array_like=True):
    """What the ledger says was used in the window that began at ``start``, seconds since 1970."""

    start: int
    amount: int


#: By account: what the ledger knows. It is behind by what the spool still holds.
Seeds = Mapping[str, Used]
_NOTHING = Used(0, 0)


class Claim:
    """One rule and the account that it has for one request. Made once for many requests."""

    __slots__ = (
        "account",
        "calendar",
        "group",
        "is_enforced",
        "kind",
        "limit",
        "measure",
        "part_s",
        "rule",
        "scope_id",
        "seed",
    )

    def __init__(self, rule: Rule, scope_id: str, group: str, seeds: Seeds) -> None:
        """``group`` names the accounts that one decision may look at together; see ``group_of``."""
        self.rule = rule
        self.scope_id = scope_id
        self.account = account_of(rule, scope_id)
        self.group = group
        self.kind = kind_of(rule)
        self.limit = rule.limit
        self.measure: Measure = rule.measure
        self.is_enforced = not rule.is_dry_run and not rule.fall_to
        self.calendar: Calendar | None = None
        self.part_s = 0
        if self.kind == "calendar":
            self.calendar = calendar(rule.window, rule.time_zone)
        elif self.kind == "rolling":
            self.part_s = part_s(rule.window)
        self.seed = seeds.get(self.account, _NOTHING)


def kind_of(rule: Rule) -> Kind:
    """Return how the accounts of a rule count."""
    if rule.measure == "concurrent":
        return "held"
    if rule.rate is not None:
        return "bucket"
    return "rolling" if rule.is_rolling else "calendar"


def account_of(rule: Rule, scope_id: str) -> str:
    """Return the name of an account: it stays when the rule's amount changes."""
    return f"{rule.id}/{scope_id}"


def group_of(rule: Rule, root: str) -> str:
    """Return the group of a rule's accounts, for a caller of the organisation ``root``.

    What is the installation's and shared by all organisations is a group of its own; all else
    belongs to the organisation, so that in a cluster each has one place.
    """
    is_shared = rule.tenant_id == EVERYWHERE and rule.scope.kind in ("route", "model", "tag")
    return EVERYWHERE if is_shared else root

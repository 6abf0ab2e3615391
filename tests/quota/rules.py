"""Rules and claims for tests, short to write."""

from __future__ import annotations

from typing import Any

from santral.quota.book import LimitBook
from santral.quota.claim import Claim, Need, Seeds
from santral.quota.rule import Measure, Rule, Scope, ScopeKind, WindowName

NEED = Need(1, 1)


def limit(
    measure: Measure = "tokens",
    window: WindowName = "day",
    amount: int | None = None,
    *,
    binds: str = "tenant:acme",
    owner: str = "acme",
    **more: Any,
) -> Rule:
    """Return a rule; ``binds`` is ``kind:id``."""
    kind, _, id_ = binds.partition(":")
    scope = Scope(_kind(kind), id_)
    name = f"{owner}.{binds}.{measure}.{window}.{'r' if more.get('is_rolling') else 'c'}"
    return Rule(
        id=more.pop("id", name),
        tenant_id=owner,
        scope=scope,
        measure=measure,
        window=window,
        amount=amount,
        **more,
    )


def claim(rule: Rule, id_: str = "acme", seeds: Seeds | None = None) -> Claim:
    return Claim(rule, id_, "acme", seeds or {})


def claims(*rules: Rule, seeds: Seeds | None = None, tenant: str = "acme") -> tuple[Claim, ...]:
    return LimitBook(rules, seeds=seeds).of(tenant, "k1")


def _kind(name: str) -> ScopeKind:
    for kind in ("tenant", "key", "user", "route", "model", "tag"):
        if kind == name:
            return kind
    raise AssertionError(name)

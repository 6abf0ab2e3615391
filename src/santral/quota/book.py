"""Every limit at one moment, and which of them hold for one caller; a newer book replaces it whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from santral.quota.claim import Claim, Seeds, group_of
from santral.quota.rule import DECLARED, EACH, Rule, Scope
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.tree import TenantTree

#: Claims remembered by caller and request; then the oldest half goes. Chosen: some megabytes.
_MOST_KNOWN = 20_000
_Place = tuple[str, str, str, bool]
_Key = TypeVar("_Key")


class LimitBook:
    """The rules of every tenant, those of the configuration among them."""

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        tree: TenantTree | None = None,
        seeds: Seeds | None = None,
    ) -> None:
        self._by_owner: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_owner.setdefault(rule.tenant_id, []).append(rule)
        self._tree = tree or TenantTree({})
        self._seeds: Seeds = seeds or {}
        self._callers: dict[tuple[str, str], tuple[Claim, ...]] = {}
        self._requests: dict[tuple[str, ...], tuple[Claim, ...]] = {}
        self._models: dict[tuple[str, str, str], tuple[Claim, ...]] = {}
        kinds = {rule.scope.kind for owned in self._by_owner.values() for rule in owned}
        self._has_request_rules = bool(kinds & {"user", "route", "tag"})
        #: Whether any deployment is limited by its model.
        self.has_model_rules = "model" in kinds

    def rules(self) -> list[Rule]:
        """Return every rule."""
        return [rule for owned in self._by_owner.values() for rule in owned]

    def of(
        self, tenant: str, key: str, route: str = "", user: str = "", tags: Mapping[str, str] = {}
    ) -> tuple[Claim, ...]:
        """Return what a request must keep within before a deployment is chosen."""
        found = self._callers.get((tenant, key))
        if found is None:
            scopes = [*(Scope("tenant", t) for t in self._path(tenant)), Scope("key", key)]
            found = _remember(self._callers, (tenant, key), self._claims(tenant, scopes))
        if not self._has_request_rules:
            return found
        name = (tenant, key, route, user, *(f"{n}={v}" for n, v in tags.items()))
        known = self._requests.get(name)
        if known is None:
            scopes = (
                [Scope("route", route), Scope("user", user)] if user else [Scope("route", route)]
            )
            scopes += [Scope("tag", tag) for tag in name[4:]]
            known = _remember(self._requests, name, found + self._claims(tenant, scopes))
        return known

    def of_model(self, tenant: str, deployment: str, model: str) -> tuple[Claim, ...]:
        """Return what an attempt at a deployment must keep within, by its name and its model's."""
        known = self._models.get((tenant, deployment, model))
        if known is None:
            claims = self._claims(tenant, [Scope("model", model)], deployment)
            known = _remember(self._models, (tenant, deployment, model), claims)
        return known

    def _claims(self, tenant: str, scopes: list[Scope], other: str = "") -> tuple[Claim, ...]:
        """Return a claim for each rule that binds one of ``scopes``, or one by its ``other`` name."""
        owners = [*self._path(tenant), EVERYWHERE]  # the highest last
        rules = [rule for owner in owners for rule in self._by_owner.get(owner, ())]
        root = owners[-2]
        made: dict[str, Claim] = {}
        for scope in scopes:
            bound = [(rule, id_) for rule in rules if (id_ := _bound(rule, scope, tenant, other))]
            named = [rule for rule, _ in bound if not _is_each(rule) and not rule.is_dry_run]
            for rule, id_ in bound:
                if _is_each(rule) and any(_replaces(other, rule, owners) for other in named):
                    continue
                if rule.tenant_id == EVERYWHERE and scope.kind == "user":
                    id_ = f"{tenant}/{id_}"  # two tenants may call their users alike
                claim = Claim(rule, id_, group_of(rule, root), self._seeds)
                made.setdefault(claim.account, claim)
        return tuple(made.values())

    def _path(self, tenant: str) -> list[str]:
        """Return the tenant and those above it, up to its organisation."""
        return [*self._tree.path(TenantId(tenant))] or [tenant]


def _remember(
    known: dict[_Key, tuple[Claim, ...]], key: _Key, claims: tuple[Claim, ...]
) -> tuple[Claim, ...]:
    """Users and tags are the caller's words, so what is remembered of them is bounded."""
    if len(known) >= _MOST_KNOWN:
        for old in list(known)[: _MOST_KNOWN // 2]:
            del known[old]
    known[key] = claims
    return claims


def _place(rule: Rule) -> _Place:
    return (rule.scope.kind, rule.measure, rule.window, rule.is_rolling)


def _replaces(named: Rule, each: Rule, owners: list[str]) -> bool:
    """Whether a rule that names somebody holds in place of one for each.

    What the configuration gives to each gives way to any; what somebody decided, to those alone who
    stand as high: a team does not lift itself out of a limit that its organisation gave to each.
    """
    if _place(named) != _place(each):
        return False
    return each.id.startswith(DECLARED) or owners.index(named.tenant_id) >= owners.index(
        each.tenant_id
    )


def _is_each(rule: Rule) -> bool:
    return rule.scope.id == EACH or (rule.scope.kind == "tag" and rule.scope.id.endswith("=*"))


def _bound(rule: Rule, scope: Scope, tenant: str, other: str) -> str:
    """Return the id of the rule's account for ``scope``, or nothing where it does not bind it."""
    kind, id_ = rule.scope
    if kind != scope.kind:
        return ""
    if id_ == scope.id or (other and id_ == other):
        return id_
    if kind == "tag" and id_.endswith("=*"):
        return scope.id if scope.id.startswith(id_[:-1]) else ""
    if id_ != EACH:
        return ""
    # Of tenants, each is the one that calls: not those above it.
    return scope.id if kind != "tenant" or scope.id == tenant else ""

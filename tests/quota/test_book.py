"""Which limits hold for whom: organisations above teams, names before each, users, routes, tags, models."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.quota.rules import limit

from santral.config.limits import LimitsConfig
from santral.quota import book as book_module
from santral.quota.book import LimitBook
from santral.quota.claim import Used
from santral.quota.limits import Limits, default_rules
from santral.quota.rule import Rule, Scope
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree

TREE = TenantTree(
    {
        TenantId("org"): None,
        TenantId("team"): TenantId("org"),
        TenantId("project"): TenantId("team"),
        TenantId("globex"): None,
    }
)


def accounts(*rules: Rule, tenant: str = "project", **who: Any) -> set[str]:
    """Return the accounts of a request, with the amounts of their limits."""
    book = LimitBook(rules, TREE)
    claims = book.of(tenant, who.pop("key", "k1"), **who)
    assert len({claim.account for claim in claims}) == len(claims)
    return {f"{claim.scope_id}={claim.limit}" for claim in claims}


def test_a_request_keeps_within_its_tenant_and_all_above_it() -> None:
    rules = [
        limit(binds=f"tenant:{name}", owner=name, amount=amount)
        for name, amount in (("org", 100), ("team", 50), ("project", 10), ("globex", 7))
    ]
    assert accounts(*rules) == {"org=100", "team=50", "project=10"}
    assert accounts(*rules, tenant="team") == {"org=100", "team=50"}
    assert accounts(*rules, tenant="globex") == {"globex=7"}
    assert accounts(*rules, tenant="unknown") == set()


def test_what_is_above_gives_its_parts_limits_too() -> None:
    by_org = limit(binds="tenant:team", owner="org", amount=50)
    by_all = limit(binds="tenant:team", owner="*", amount=80)
    foreign = limit(binds="tenant:team", owner="globex", amount=1)
    assert accounts(by_org, by_all, foreign) == {"team=50", "team=80"}
    assert accounts(by_org, by_all, foreign, tenant="org") == set()


def test_each_is_the_one_that_calls() -> None:
    each = limit(binds="tenant:*", owner="org", amount=50)
    assert accounts(each) == {"project=50"}
    assert accounts(each, tenant="org") == {"org=50"}
    assert accounts(each, tenant="globex") == set()


def test_one_who_is_named_has_that_in_place_of_each() -> None:
    each = limit(binds="key:*", owner="org", amount=50)
    named = limit(binds="key:k1", owner="org", amount=500)
    assert accounts(each, named) == {"k1=500"}
    assert accounts(each, named, key="k2") == {"k2=50"}
    other = limit("tokens", "minute", 9, binds="key:k1", owner="org", is_rolling=True)
    assert accounts(each, other) == {"k1=50", "k1=9"}, "another window is another limit"


def test_a_team_does_not_lift_itself_out_of_what_its_organisation_gave_to_each() -> None:
    each = limit(binds="tenant:*", owner="org", amount=50)
    own = limit(binds="tenant:project", owner="project", amount=10**9)
    from_above = limit(binds="tenant:project", owner="org", amount=70)
    everywhere = limit(binds="tenant:project", owner="*", amount=90)
    assert accounts(each, own) == {"project=50", f"project={10**9}"}
    assert accounts(each, from_above) == {"project=70"}
    assert accounts(each, everywhere) == {"project=90"}


def test_a_dry_run_takes_nobodys_limit_away() -> None:
    each = limit(binds="key:*", owner="org", amount=50)
    tried = limit(binds="key:k1", owner="org", amount=500, is_dry_run=True)
    assert accounts(each, tried) == {"k1=50", "k1=500"}


def test_the_configuration_gives_what_a_tenant_has_not_set() -> None:
    defaults = default_rules(LimitsConfig(tokens_per_day=9, requests_per_second=2.5, burst=4))
    assert accounts(*defaults) == {"project=9", "project=4"}
    own = limit(binds="tenant:project", owner="project", amount=1000)
    assert accounts(*defaults, own) == {"project=1000", "project=4"}
    above = limit(binds="tenant:org", owner="org", amount=1000)
    assert accounts(*defaults, above) == {"org=1000", "project=9", "project=4"}
    rolling = replace(own, id="rolling", is_rolling=True)
    assert accounts(*defaults, rolling) == {"project=1000", "project=9", "project=4"}
    tried = replace(own, is_dry_run=True)
    assert accounts(*defaults, tried) == {"project=1000", "project=9", "project=4"}


def test_users_routes_and_tags_have_accounts_of_their_own() -> None:
    rules = [
        limit(binds="user:*", owner="org", amount=1),
        limit(binds="user:ann", owner="org", amount=2),
        limit(binds="route:*", owner="org", amount=3),
        limit(binds="tag:team=*", owner="org", amount=4),
        limit(binds="tag:team=b", owner="org", amount=5),
        limit(binds="tag:*", owner="org", amount=6, is_rolling=True),
    ]
    assert accounts(*rules) == set(), "nobody is named"
    assert accounts(*rules, user="ben", route="plain") == {"ben=1", "plain=3"}
    assert accounts(*rules, user="ann") == {"ann=2"}
    assert accounts(*rules, tags={"team": "a", "job": "x"}) == {"team=a=4", "team=a=6", "job=x=6"}
    assert accounts(*rules, tags={"team": "b"}) == {"team=b=5", "team=b=6"}
    assert accounts(*rules, tags={"teams": "a"}) == {"teams=a=6"}


def test_users_of_the_same_name_in_two_tenants_share_no_account_of_the_installation() -> None:
    for binds in ("user:*", "user:ann"):
        book = LimitBook([limit(binds=binds, owner="*", amount=5)], TREE)
        found = {t: book.of(t, "k1", "plain", "ann") for t in ("project", "globex")}
        names = {claims[0].account for claims in found.values()}
        assert len(names) == 2
        assert [claims[0].group for claims in found.values()] == ["org", "globex"]


def test_users_of_the_same_name_in_an_organisation_are_one() -> None:
    book = LimitBook([limit(binds="user:*", owner="org", amount=5)], TREE)
    assert (
        book.of("project", "k1", "", "ann")[0].account
        == book.of("team", "k9", "", "ann")[0].account
    )


def test_what_all_organisations_share_has_a_group_of_its_own() -> None:
    rules = [
        limit(binds="route:*", owner="*", amount=5),
        limit(binds="tag:*", owner="*", amount=5),
        limit(binds="tenant:*", owner="*", amount=5),
        limit(binds="tenant:org", owner="org", amount=5),
    ]
    claims = LimitBook(rules, TREE).of("project", "k1", "plain", "", {"a": "b"})
    assert {claim.scope_id: claim.group for claim in claims} == {
        "plain": "*",
        "a=b": "*",
        "project": "org",
        "org": "org",
    }


def models(*rules: Rule, deployment: str = "d1", model: str = "m1") -> set[str]:
    book = LimitBook(rules, TREE)
    claims = book.of_model("project", deployment, model)
    return {f"{claim.scope_id}={claim.limit}" for claim in claims}


def test_a_model_is_limited_by_its_name_or_its_deployments() -> None:
    by_model = limit(binds="model:m1", owner="*", amount=1)
    by_deployment = limit(binds="model:d1", owner="*", amount=2)
    each = limit(binds="model:*", owner="*", amount=3)
    assert models(by_model, by_deployment) == {"m1=1", "d1=2"}
    assert models(by_model, by_deployment, deployment="d2") == {"m1=1"}
    assert models(each) == {"m1=3"}, "a model with two deployments is one model"
    assert models(each, deployment="d2") == {"m1=3"}
    assert models(each, by_model) == {"m1=1"}
    assert models(each, by_deployment) == {"d1=2"}, "who is named is not one of each"
    assert models(each, deployment="m1", model="m1") == {"m1=3"}


def test_a_book_knows_whether_models_are_limited() -> None:
    assert not LimitBook([limit(amount=1)], TREE).has_model_rules
    book = LimitBook([limit(binds="model:m1", owner="org", amount=1)], TREE)
    assert book.has_model_rules
    assert book.of("project", "k1") == ()
    assert book.of_model("globex", "d1", "m1") == ()


def test_claims_are_made_once_and_know_their_seeds() -> None:
    rule = limit(binds="tenant:org", owner="org", amount=1)
    book = LimitBook([rule], TREE, {f"{rule.id}/org": Used(5, 70)})
    claims = book.of("project", "k1")
    assert claims[0].seed == Used(5, 70)
    assert book.of("project", "k1") is claims
    assert book.rules() == [rule]


def test_what_is_remembered_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "_MOST_KNOWN", 100)
    book = LimitBook([limit(binds="user:*", owner="org", amount=1)], TREE)
    for number in range(1000):
        assert book.of("project", "k1", "", f"user-{number}")[0].scope_id == f"user-{number}"
        assert book.of(f"tenant-{number}", f"key-{number}") == ()
        assert book.of_model("project", f"d{number}", "m") == ()
    assert len(book._requests) <= 100
    assert len(book._callers) <= 100
    assert len(book._models) <= 100


def test_named_limits_become_rules() -> None:
    rules = Limits(
        requests_per_second=2.5,
        burst=9,
        tokens_per_minute=5,
        usd_per_month=0.1,
        concurrent_requests=3,
    ).rules("acme", Scope("tenant", "acme"))
    told = {rule.id: (rule.limit, rule.is_rolling, rule.uncoordinated, rule.code) for rule in rules}
    assert told == {
        "requests_per_second": (9, False, "share", "requests_per_second_exceeded"),
        "tokens_per_minute": (5, True, "share", "tokens_per_minute_exceeded"),
        "concurrent_requests": (3, False, "share", "concurrent_requests_exceeded"),
        "usd_per_month": (100_000_000, False, "refuse", "budget_exceeded"),
    }

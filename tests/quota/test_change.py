"""Limits in both databases: set, replaced, removed, refused, noted, and seen by the next snapshot."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from tests.quota.rules import limit
from tests.tenants.acting import NOW, OPERATOR, acting, plant

from santral.audit.store import entries_after
from santral.db.engine import Engine, reading, writing
from santral.db.store import read_revision
from santral.errors import BadRequest, NotAllowed, NotFound
from santral.quota import store
from santral.quota.change import check, remove_rule, set_rules, show_rules
from santral.quota.rule import Rule, Scope, WindowName
from santral.tenants.issue import create_key
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId, VirtualKey

pytestmark = pytest.mark.anyio


async def put(engine: Engine, *rules: Rule, by: Principal = OPERATOR) -> list[Rule]:
    numbers = itertools.count(1)
    run = Random(str(rules)).randrange(10**9)
    return await set_rules(engine, rules, NOW, new_id=lambda: f"lim_{run}_{next(numbers)}", by=by)


async def stored(engine: Engine) -> list[Rule]:
    async with reading(engine) as conn:
        return await store.all_rules(conn)


async def key_of(engine: Engine, tenant: str, seed: int = 1) -> VirtualKey:
    made = await create_key(engine, Random(seed).randbytes, tenant, "shop", NOW, by=OPERATOR)
    return made.key


async def test_every_field_comes_back_as_it_was_set(engine: Engine) -> None:
    await plant(engine, "acme")
    full = limit(
        "usd",
        "month",
        12_500_000_001,
        time_zone="Europe/Istanbul",
        fall_to="small",
        warn_at=(0.5, 0.95),
        webhook="https://example.com/alerts",
        uncoordinated="refuse",
        is_dry_run=True,
    )
    rate = limit("requests", "second", rate=0.25, burst=3, wait_s=7.5)
    made = await put(engine, full, rate)
    assert [replace(rule, id="") for rule in made] == [replace(r, id="") for r in (full, rate)]
    assert {rule.id: rule for rule in await stored(engine)} == {rule.id: rule for rule in made}


async def test_a_limit_for_the_same_place_replaces_the_one_before_and_keeps_its_id(
    engine: Engine,
) -> None:
    await plant(engine, "acme")
    (first,) = await put(engine, limit(amount=100, warn_at=(0.5,), wait_s=3.0))
    (second,) = await put(engine, limit(amount=200))
    assert second.id == first.id, "what was used under it stays"
    assert await stored(engine) == [second]
    assert (second.amount, second.warn_at, second.wait_s) == (200, (), 0.0)
    others = await put(
        engine,
        limit("tokens", "day", 300, is_rolling=True),
        limit("requests", "day", 300),
        limit("tokens", "week", 300),
        limit(amount=300, binds="user:*"),
    )
    assert len({rule.id for rule in others} | {first.id}) == 5


async def test_all_are_set_or_none(engine: Engine) -> None:
    await plant(engine, "acme")
    with pytest.raises(BadRequest):
        await put(engine, limit(amount=100), limit("requests", "day", 0))
    assert await stored(engine) == []


async def test_every_change_is_seen(engine: Engine) -> None:
    await plant(engine, "acme")
    seen: list[int] = []
    (rule,) = await put(engine, limit(amount=100))
    for remove in (False, True):
        async with reading(engine) as conn:
            seen.append(await read_revision(conn))
        if remove:
            await remove_rule(engine, rule.id, by=OPERATOR)
        else:
            await put(engine, limit(amount=101))
    async with reading(engine) as conn:
        seen.append(await read_revision(conn))
    assert seen[0] < seen[1] < seen[2]
    assert await stored(engine) == []


async def test_a_key_is_named_by_its_id_or_prefix(engine: Engine) -> None:
    await plant(engine, "acme", "team<acme", "globex")
    key = await key_of(engine, "team")
    for named in (key.id, key.prefix, f"{key.prefix}…"):
        (rule,) = await put(engine, limit(binds=f"key:{named}", owner="acme", amount=5))
        assert rule.scope == Scope("key", key.id)
    shown = await show_rules(engine, "acme", by=OPERATOR)
    assert [(row.name, row.is_declared) for row in shown] == [("shop", False)]
    foreign = await key_of(engine, "globex", 2)
    for named in (foreign.id, "sk-santral-nobody"):
        with pytest.raises(NotFound, match="has no key"):
            await put(engine, limit(binds=f"key:{named}", amount=5))


async def test_an_unknown_tenant_is_named_with_the_nearest(engine: Engine) -> None:
    await plant(engine, "acme")
    with pytest.raises(NotFound, match="Did you mean 'acme'"):
        await put(engine, limit(binds="tenant:acm", owner="acm", amount=5))
    with pytest.raises(NotFound, match="Did you mean 'acme'"):
        await show_rules(engine, "acm", by=OPERATOR)
    with pytest.raises(NotFound, match="There is no limit 'lim_x'"):
        await remove_rule(engine, "lim_x", by=OPERATOR)


async def test_who_administers_a_part_sets_no_limit_above_or_beside_it(engine: Engine) -> None:
    await plant(engine, "org", "team<org", "project<team", "other<org", "globex")
    admin = await acting(engine, "admin", "team")
    await put(engine, limit(binds="tenant:project", owner="team", amount=5), by=admin)
    await put(engine, limit(binds="tenant:team", owner="team", amount=5), by=admin)
    await put(engine, limit(binds="tenant:project", owner="project", amount=5), by=admin)
    for owner in ("org", "other", "globex", "nobody"):
        with pytest.raises(NotFound):
            await put(engine, limit(binds=f"tenant:{owner}", owner=owner, amount=5), by=admin)
    with pytest.raises(NotAllowed):
        await put(engine, limit(binds="tenant:team", owner="*", amount=5), by=admin)
    said: set[str] = set()
    for binds in ("org", "other", "globex", "nobody"):
        with pytest.raises(BadRequest) as caught:
            await put(engine, limit(binds=f"tenant:{binds}", owner="team", amount=5), by=admin)
        said.add(caught.value.message.replace(binds, "X"))
    assert len(said) == 1, "it does not tell who exists"
    assert len(await stored(engine)) == 3


async def test_who_may_not_see_a_limit_cannot_remove_it_or_tell_it_exists(engine: Engine) -> None:
    await plant(engine, "org", "team<org", "globex")
    (above,) = await put(engine, limit(binds="tenant:team", owner="org", amount=5))
    (own,) = await put(engine, limit(binds="tenant:team", owner="team", amount=5))
    admin, viewer = await acting(engine, "admin", "team"), await acting(engine, "viewer", "team")
    with pytest.raises(NotFound, match="There is no limit"):
        await remove_rule(engine, above.id, by=admin)
    with pytest.raises(NotAllowed):
        await remove_rule(engine, own.id, by=viewer)
    with pytest.raises(NotAllowed):
        await put(engine, limit(binds="tenant:team", owner="team", amount=9), by=viewer)
    assert [row.rule.id for row in await show_rules(engine, "team", by=admin)] == [own.id]
    assert await remove_rule(engine, own.id, by=admin) == own


async def test_what_holds_for_a_tenant_is_shown(engine: Engine) -> None:
    await plant(engine, "org", "team<org", "globex")
    made = await put(
        engine,
        limit(binds="tenant:org", owner="org", amount=5),
        limit(binds="tenant:team", owner="team", amount=4),
        limit(binds="tenant:*", owner="*", amount=6),
        limit(binds="tenant:globex", owner="globex", amount=7),
    )
    declared = [limit(binds="tenant:*", owner="*", amount=1, id="config.tokens_per_day")]
    rows = await show_rules(engine, "team", declared, by=OPERATOR)
    assert {row.rule.id for row in rows} == {rule.id for rule in made[:3]} | {declared[0].id}
    assert [row.is_declared for row in rows] == [False, False, False, True]
    assert len(await show_rules(engine, "*", by=OPERATOR)) == 1


async def test_every_change_is_noted_with_before_and_after(engine: Engine) -> None:
    await plant(engine, "acme")
    admin = await acting(engine, "admin", "acme")
    (rule,) = await put(engine, limit(amount=100), by=admin)
    await put(engine, limit(amount=200, warn_at=(0.5,)), by=admin)
    await remove_rule(engine, rule.id, by=admin)
    notes = [e for e in await entries(engine) if e.action.startswith("limits.")]
    assert [(n.action, n.actor, n.object, n.tenant_id) for n in notes] == [
        ("limits.set", "user:usr_admin", f"limit:{rule.id}", "acme"),
        ("limits.set", "user:usr_admin", f"limit:{rule.id}", "acme"),
        ("limits.remove", "user:usr_admin", f"limit:{rule.id}", "acme"),
    ]
    amounts = [((n.before or {}).get("amount"), (n.after or {}).get("amount")) for n in notes]
    assert amounts == [(None, 100), (100, 200), (200, None)]
    assert (notes[1].after or {})["scope"] == "tenant:acme"


async def entries(engine: Engine) -> list[Any]:
    async with reading(engine) as conn:
        return list(await entries_after(conn, 0, 1000))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"amount": 0}, "amount"),
    ({"amount": -5}, "amount"),
    ({"amount": 10**17}, "amount"),
    ({}, "amount"),
    ({"measure": "requests", "window": "second", "amount": 5}, "rate"),
    ({"measure": "requests", "window": "second", "rate": 0.0}, "rate"),
    ({"measure": "requests", "window": "second", "rate": float("nan")}, "rate"),
    ({"measure": "requests", "window": "second", "rate": float("inf")}, "rate"),
    ({"measure": "requests", "window": "second", "rate": 1.0, "amount": 1}, "amount"),
    ({"measure": "requests", "window": "second", "rate": 1.0, "burst": 0}, "burst"),
    ({"measure": "tokens", "window": "second", "rate": 1.0}, "window"),
    ({"amount": 5, "rate": 1.0}, "rate"),
    ({"amount": 5, "burst": 1}, "burst"),
    ({"measure": "concurrent", "window": "day", "amount": 5}, "window"),
    ({"window": "", "amount": 5}, "window"),
    ({"measure": "concurrent", "window": "", "amount": 5, "is_rolling": True}, "is_rolling"),
    ({"amount": 5, "is_rolling": True, "time_zone": "Europe/Istanbul"}, "is_rolling"),
    ({"amount": 5, "time_zone": "Europe/Constantinople"}, "time_zone"),
    ({"amount": 5, "time_zone": "../../etc/passwd"}, "time_zone"),
    ({"amount": 5, "time_zone": ""}, "time_zone"),
    ({"amount": 5, "wait_s": -1.0}, "wait_s"),
    ({"amount": 5, "wait_s": 301.0}, "wait_s"),
    ({"amount": 5, "wait_s": float("nan")}, "wait_s"),
    ({"amount": 5, "wait_s": 1.0, "fall_to": "small"}, "fall_to"),
    ({"amount": 5, "fall_to": "x" * 257}, "fall_to"),
    ({"amount": 5, "warn_at": (0.9, 0.5)}, "warn_at"),
    ({"amount": 5, "warn_at": (0.0,)}, "warn_at"),
    ({"amount": 5, "warn_at": (1.1,)}, "warn_at"),
    ({"amount": 5, "warn_at": (float("nan"),)}, "warn_at"),
    ({"amount": 5, "webhook": "file:///etc/passwd"}, "webhook"),
    ({"amount": 5, "binds": "tag:team"}, "scope_id"),
    ({"amount": 5, "binds": "user:"}, "scope_id"),
    ({"amount": 5, "binds": "user:a\nb"}, "scope_id"),
    ({"amount": 5, "binds": "user:" + "x" * 257}, "scope_id"),
    ({"measure": "token", "amount": 5}, "measure"),
    ({"window": "dya", "amount": 5}, "window"),
]


@pytest.mark.parametrize(("fields", "param"), BAD, ids=str)
def test_what_means_nothing_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check(limit(**fields))
    assert caught.value.param == param
    assert caught.value.message.startswith(param) or param in caught.value.message


def test_a_misspelt_measure_is_answered_with_the_nearest() -> None:
    measure: Any = "token"
    with pytest.raises(BadRequest, match="'tokens'"):
        check(limit(measure, amount=5))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Istanbul", "Asia/Kolkata", "America/New_York"])
def test_zones_that_exist_are_taken(zone: str) -> None:
    check(limit(amount=5, time_zone=zone))


async def test_limits_that_contradict_each_other_are_refused(engine: Engine) -> None:
    await plant(engine, "acme")
    await put(engine, limit("tokens", "day", 100))
    bad: list[tuple[WindowName, int]] = [("hour", 101), ("month", 99)]
    for window, amount in bad:
        with pytest.raises(BadRequest, match="could never be reached") as caught:
            await put(engine, limit("tokens", window, amount))
        assert caught.value.detail_code == "limits_contradict"
    await put(engine, limit("tokens", "month", 100), limit("tokens", "hour", 100, is_rolling=True))
    await put(engine, limit("tokens", "minute", 500, is_rolling=True, is_dry_run=True))
    await put(engine, limit("requests", "hour", 500), limit("tokens", "hour", 500, binds="user:*"))


async def test_limits_that_move_together_are_judged_as_they_will_be(engine: Engine) -> None:
    await plant(engine, "acme")
    for day, month in ((10, 100), (1000, 10_000), (1, 5)):
        await put(engine, limit("usd", "day", day), limit("usd", "month", month))
    assert [rule.amount for rule in await stored(engine)] == [1, 5]


async def test_the_number_of_limits_is_bounded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santral.quota.change._MOST_RULES", 2)
    await plant(engine, "acme")
    await put(engine, limit(amount=100), limit("requests", "day", 100))
    with pytest.raises(BadRequest, match="has 2 limits already"):
        await put(engine, limit("usd", "day", 100))
    await put(engine, limit(amount=50))


async def test_a_statement_for_one_tenant_touches_no_other(engine: Engine) -> None:
    await plant(engine, "acme", "globex")
    (mine,) = await put(engine, limit(amount=5))
    async with reading(engine) as conn:
        assert await store.rules_of_tenant(conn, TenantId("globex")) == []
    async with writing(engine) as conn:
        assert not await store.drop_rule(conn, TenantId("globex"), mine.id)

"""Nobody is asked who cannot answer or must not: abilities, windows, regions, tiers, trials, sessions."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.routing.parts import Clock, chat, compiled

from santral.errors import BadRequest, ProviderFailed
from santral.routing.choose import candidates, is_within, make_plan, obstacle
from santral.routing.demand import Demand, demand_of
from santral.routing.health import Health
from santral.routing.route import Route
from santral.wire.chat import ChatCall

TOOLS = [{"type": "function", "function": {"name": "f"}}]
IMAGE = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


def order(
    route: Route,
    call: ChatCall | None = None,
    *,
    tenant: str = "t",
    health: Health | None = None,
    rng: Random | None = None,
    tier: int | None = None,
) -> list[str]:
    assert route.rules is not None
    demand = demand_of(call or chat(), route.rules, tenant=tenant)
    made = rng or Random(1)
    plan = make_plan(route, route.rules, demand, made, tier)
    found = candidates(route, health or Health(Clock()), made, demand, plan=plan)
    return [deployment.name for deployment in found]


def ladder(*rungs: dict[str, float] | dict[str, Any], **more: Any) -> dict[str, Any]:
    made = [rung if "deployments" in rung else {"deployments": rung} for rung in rungs]
    return {"ladder": made} | more


def no(*capabilities: str) -> dict[str, Any]:
    return {"capabilities": dict.fromkeys(capabilities, False)}


ABILITIES = ("tools", "vision", "json_schema", "audio_in", "files", "logprobs", "n", "reasoning")


@given(
    lacks=st.lists(st.sets(st.sampled_from(ABILITIES)), min_size=1, max_size=5),
    needs=st.sets(st.sampled_from(ABILITIES)),
    rng=st.randoms(use_true_random=False),
)
def test_never_a_deployment_that_cannot_while_one_can(
    lacks: list[set[str]], needs: set[str], rng: Random
) -> None:
    deployments = {f"d{n}": no(*lacking) for n, lacking in enumerate(lacks)}
    route = compiled(ladder(*({name: 1} for name in deployments)) | {"sticky": True}, deployments)
    assert route.rules is not None
    demand = Demand(needs=frozenset(needs))
    can = [f"d{n}" for n, lacking in enumerate(lacks) if not lacking & needs]
    try:
        plan = make_plan(route, route.rules, demand, rng)
    except BadRequest:
        hard = needs - {"logprobs", "n", "reasoning"}
        assert all(lacking & hard for lacking in lacks)
        return
    found = [d.name for d in candidates(route, Health(Clock()), rng, demand, plan=plan)]
    assert found == can or not can
    left = needs - set(plan.given_up)
    assert all(not lacks[int(name[1:])] & left for name in found)


def test_a_request_with_tools_skips_who_has_none_and_the_refusal_names_everybody() -> None:
    deployments = {"a": no("tools"), "b": {}, "c": no("tools")}
    route = compiled(ladder({"a": 1}, {"b": 1, "c": 1}), deployments)
    assert order(route, chat(tools=TOOLS)) == ["b"]
    assert set(order(route)) == {"a", "b", "c"}
    alone = compiled(ladder({"a": 1}, {"c": 1}), deployments)
    with pytest.raises(BadRequest) as refused:
        order(alone, chat(tools=TOOLS))
    assert refused.value.detail_code == "no_capable_deployment"
    assert "(tools): a cannot do tools; c cannot do tools" in refused.value.message


def test_who_cannot_is_no_last_resort_when_everybody_else_is_broken() -> None:
    route = compiled(ladder({"a": 1}, {"b": 1}), {"a": no("vision"), "b": {}})
    health = Health(Clock())
    for _ in range(3):
        health.failed("b", ProviderFailed("no"))
    assert order(route, chat(IMAGE), health=health) == ["b"]


def test_what_a_request_can_do_without_is_given_up_only_when_nobody_has_it() -> None:
    route = compiled(ladder({"a": 1}, {"b": 1}), {"a": no("logprobs"), "b": {}})
    call = chat(logprobs=True)
    assert order(route, call) == ["b"]
    nobody = compiled(ladder({"a": 1}, {"b": 1}), {"a": no("logprobs"), "b": no("logprobs")})
    assert nobody.rules is not None
    plan = make_plan(nobody, nobody.rules, demand_of(call, nobody.rules), Random(1))
    assert plan.given_up == ("logprobs",)
    assert order(nobody, call) == ["a", "b"]


def test_a_long_input_goes_to_a_long_window_and_is_tried_where_all_seem_short() -> None:
    long = chat("word " * 4000)  # some 5,000 tokens
    windows = {"a": {"context_tokens": 2000}, "b": {"context_tokens": 100_000}}
    assert order(compiled(ladder({"a": 1}, {"b": 1}), windows), long) == ["b"]
    short = {"a": {"context_tokens": 2000}, "b": {"context_tokens": 3000}}
    assert order(compiled(ladder({"a": 1}, {"b": 1}), short), long) == ["a", "b"]


def test_an_answer_longer_than_a_model_gives_goes_elsewhere() -> None:
    route = compiled(ladder({"a": 1}, {"b": 1}), {"a": {"max_output_tokens": 100}, "b": {}})
    assert order(route, chat(max_tokens=500)) == ["b"]
    assert order(route, chat(max_tokens=50)) == ["a", "b"]


@pytest.mark.parametrize(
    ("region", "allowed", "expected"),
    [
        ("eu", {"eu"}, True),
        ("eu-west-1", {"eu"}, True),
        ("europe-west1", {"eu"}, False),
        ("", {"eu"}, False),
        ("us", {"eu", "tr"}, False),
        ("local", {"eu"}, True),
        ("eu", {"eu-west-1"}, False),
    ],
)
def test_a_region_is_within_what_names_it_or_a_part_of_it(
    region: str, allowed: set[str], *, expected: bool
) -> None:
    assert is_within(region, frozenset(allowed)) is expected


REGIONS = {"a": {"region": "us-east-1"}, "b": {"region": "eu-west-1"}, "c": {}}


def test_regions_of_route_and_tenant_both_hold_also_when_all_else_is_broken() -> None:
    route = compiled(
        ladder({"a": 1, "b": 1, "c": 1}, allowed_regions=["eu", "us"]),
        REGIONS,
        residency={"acme": ["eu"]},
    )
    health = Health(Clock())
    for _ in range(3):
        health.failed("b", ProviderFailed("no"))
    assert order(route, tenant="acme", health=health) == ["b"]
    assert set(order(route, tenant="other")) == {"a", "b"}


def test_a_request_that_may_go_nowhere_is_refused_and_told_where_everybody_is() -> None:
    route = compiled(ladder({"a": 1, "c": 1}, allowed_regions=["tr"]), REGIONS)
    with pytest.raises(BadRequest, match="a runs in us-east-1, allowed: tr; c has no region"):
        order(route)


def test_shadows_and_detours_are_held_to_the_same_rules() -> None:
    shadow = {"deployments": ["a"], "share": 1.0}
    route = compiled(ladder({"b": 1}, allowed_regions=["eu"], shadow=shadow), REGIONS)
    assert route.rules is not None
    assert route.rules.shadow is not None
    found = obstacle(route.rules, route.rules.shadow.deployments[0], Demand())
    assert found is not None
    assert found.need == "region"


TIERS = {
    "ladder": [
        {"name": "small", "deployments": {"s": 1}},
        {"name": "middle", "deployments": {"m": 1}},
        {"name": "large", "deployments": {"l": 1}},
        {"deployments": {"rest": 1}},
    ],
    "complexity": {"tiers": ["small", "middle", "large"]},
}


@pytest.mark.parametrize(
    ("tier", "expected"), [(0, "s m l rest"), (1, "m l s rest"), (2, "l m s rest")]
)
def test_a_tier_falls_back_to_harder_ones_before_easier_ones(tier: int, expected: str) -> None:
    route = compiled(TIERS, {name: {} for name in ("s", "m", "l", "rest")})
    assert order(route, tier=tier) == expected.split()


def test_a_last_rung_that_complexity_chooses_is_no_last_resort() -> None:
    two = {"ladder": TIERS["ladder"][:2], "complexity": {"tiers": ["small", "middle"]}}
    assert not compiled(two, {"s": {}, "m": {}}).is_last_resort("m")
    assert compiled(TIERS, {n: {} for n in ("s", "m", "l", "rest")}).is_last_resort("rest")


CANARY = ladder({"deployments": {"a": 1}, "canary": {"new": 20}})


def test_a_canary_gets_its_percent_of_users_and_each_user_always_gets_the_same() -> None:
    route = compiled(CANARY, {"a": {}, "new": {}})
    first = {f"u{n}": order(route, chat(user=f"u{n}"))[0] for n in range(1000)}
    assert 160 < Counter(first.values())["new"] < 240
    assert all(order(route, chat(user=u), rng=Random(9))[0] == d for u, d in first.items())


def test_a_canary_falls_back_to_its_rung_and_is_no_fallback_itself() -> None:
    route = compiled(CANARY, {"a": {}, "new": {}})
    orders = {tuple(order(route, rng=Random(n))) for n in range(100)}
    assert orders == {("new", "a"), ("a",)}


def test_a_canary_that_cannot_answer_is_passed_over() -> None:
    route = compiled(CANARY, {"a": {}, "new": no("tools")})
    assert {order(route, chat(tools=TOOLS), rng=Random(n))[0] for n in range(50)} == {"a"}


STICKY = ladder({"a": 3, "b": 1, "c": 1}, sticky=True)


def test_a_session_stays_and_sessions_follow_the_weights() -> None:
    route = compiled(STICKY, {"a": {}, "b": {}, "c": {}})
    first = {n: order(route, chat(santral={"session": f"s{n}"}))[0] for n in range(1000)}
    assert 540 < Counter(first.values())["a"] < 660
    for n, name in first.items():
        assert order(route, chat(santral={"session": f"s{n}"}), rng=Random(n))[0] == name


def test_when_one_breaks_only_its_own_sessions_move_and_they_come_back() -> None:
    route = compiled(STICKY, {"a": {}, "b": {}, "c": {}})
    clock = Clock()
    health = Health(clock)
    calls = [chat(santral={"session": f"s{n}"}) for n in range(200)]
    before = [order(route, call, health=health)[0] for call in calls]
    for _ in range(3):
        health.failed("b", ProviderFailed("no"))
    during = [order(route, call, health=health) for call in calls]
    assert all(now[0] == was or was == "b" for now, was in zip(during, before, strict=True))
    assert all(now[-1] == "b" for now in during)
    clock.now += 60
    health.succeeded("b")
    assert [order(route, call, health=health)[0] for call in calls] == before


def test_one_session_name_of_two_tenants_is_two_sessions() -> None:
    route = compiled(STICKY, {"a": {}, "b": {}, "c": {}})
    call = chat(santral={"session": "1"})
    assert len({order(route, call, tenant=f"t{n}")[0] for n in range(30)}) == 3


def test_signed_reasoning_goes_back_to_who_made_it_first_but_not_only() -> None:
    made = compiled(ladder({"a": 1, "b": 1}), {"a": {}, "b": {}})
    entries = tuple((replace(d, dialect={"a": "openai", "b": "anthropic"}[d.name]), w)
                    for d, w in made.rungs[0])  # fmt: skip
    route = compiled(ladder({"a": 1, "b": 1}, sticky=True), {"a": {}, "b": {}})
    assert route.rules is not None
    rung = replace(route.rules.rungs[0], entries=entries)
    route = replace(route, rules=replace(route.rules, rungs=(rung,), has_dialects=True))
    details = [{"type": "reasoning.text", "text": "…", "format": "anthropic-claude-v1"}]
    messages = [
        {"role": "assistant", "content": "Yes.", "reasoning_details": details},
        {"role": "user", "content": "Go on."},
    ]
    assert {tuple(order(route, chat(messages=messages), rng=Random(n))) for n in range(30)} == {
        ("b", "a")
    }


def test_a_strategy_of_a_rung_is_over_that_of_its_route() -> None:
    route = compiled(
        ladder({"a": 1, "b": 1}, {"deployments": {"c": 1, "d": 1}, "strategy": "weighted"})
        | {"strategy": "round_robin"},
        {name: {} for name in "abcd"},
    )
    firsts = [order(route)[0] for _ in range(6)]
    assert firsts in (["a", "b"] * 3, ["b", "a"] * 3)

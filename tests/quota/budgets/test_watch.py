"""Limits are looked at, alerts written once, and delivered at least once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.quota.budgets.receiver import receiving
from tests.quota.ledger.test_write import attempt, record

from santral.db.engine import Engine, reading, writing
from santral.quota.budgets import store
from santral.quota.budgets.alert import Alert
from santral.quota.budgets.burn import read_burns
from santral.quota.budgets.deliver import MOST_TRIES, Refused, Sender, require_public, signature
from santral.quota.budgets.watch import Round, Watch
from santral.quota.ledger.write import write_ledger
from santral.quota.rule import Rule, Scope
from santral.quota.store import put_rule
from santral.quota.window import calendar
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_window_has_begun() -> None:
    calendar.cache_clear()  # a window that has begun once is never left: tests share none


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def sender(clock: Callable[[], datetime], **changes: object) -> Sender:
    given: dict[str, object] = {"timeout_s": 0.5, "allow_private": True}
    return Sender("key", clock=clock, random=lambda: 0.5, **(given | changes))  # pyright: ignore[reportArgumentType]


def budget(id_: str = "lim_1", amount: int = 1000, **changes: object) -> Rule:
    fields: dict[str, object] = {
        "id": id_,
        "tenant_id": "acme",
        "scope": Scope("tenant", "acme"),
        "measure": "usd",
        "window": "day",
        "amount": amount,
        "warn_at": (0.5, 0.8),
    }
    return Rule(**(fields | changes))  # pyright: ignore[reportArgumentType]


async def given(engine: Engine, *rules: Rule) -> None:
    await create_tenant(engine, "acme", None, NOON, by=local_operator())
    async with writing(engine) as conn:
        for rule in rules:
            await put_rule(conn, TenantId(rule.tenant_id), rule, NOON)


async def spend(engine: Engine, name: str, cost: int, ago_s: int = 60, **changes: object) -> None:
    at = int((NOON.timestamp() - ago_s) * 1e6)
    await write_ledger(engine, [record(name, attempt(cost=cost), started_at_us=at, **changes)])


async def known(engine: Engine) -> list[Alert]:
    async with reading(engine) as conn:
        return await store.list_alerts(conn, None, 100)


async def test_each_line_is_told_once_for_each_window(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        await given(engine, budget(webhook=receiver.url))
        watch = Watch(engine, sender(clock), clock=clock)
        await spend(engine, "r1", 400)
        assert await watch.look() == 0
        await spend(engine, "r2", 100)
        assert (await watch.look(), await watch.look()) == (1, 0)
        await spend(engine, "r3", 600)
        assert await watch.look() == 2
        assert (await watch.deliver()).sent == 2
        assert (await watch.deliver()).sent == 0
        said = [json.loads(body) for body in receiver.bodies]
        assert {one["kind"] for one in said} == {"warned at 0.5", "spent"}
        assert {alert.kind: bool(alert.delivered_at) for alert in await known(engine)} == {
            "warned at 0.5": True,
            "warned at 0.8": False,  # crossed together with the end, which was told
            "spent": True,
        }
        clock.now += timedelta(days=1)
        assert await watch.look() == 0


async def test_an_alert_is_signed_and_says_what_happened(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        await given(engine, budget(webhook=receiver.url))
        await spend(engine, "r1", 1000)
        watch = Watch(engine, sender(clock), clock=clock)
        await watch.look()
        await watch.deliver()
        (body,), (headers,) = receiver.bodies, receiver.headers
    stamp, mac = headers["x-santral-signature"].split(",")
    expected = hmac.new(b"key", f"{stamp[2:]}.".encode() + body, hashlib.sha256).hexdigest()
    assert (stamp, mac) == (f"t={int(NOON.timestamp())}", f"v1={expected}")
    said = json.loads(body)
    assert headers["x-santral-alert-id"] == said["id"]
    assert (said["used"], said["limit"], said["unit"]) == (1000, 1000, "nano-USD")
    assert (said["scope"], said["tenant_id"]) == ("tenant:acme", "acme")
    assert said["text"].startswith("Santral: the limit of")
    assert "webhook" not in said


async def test_a_forecast_before_the_end_is_told(engine: Engine) -> None:
    clock = Clock()
    await given(engine, budget(amount=3000, warn_at=()))
    for hour in range(10):
        await spend(engine, f"r{hour}", 200, hour * 3600 + 60)
    watch = Watch(engine, sender(clock), clock=clock)
    assert await watch.look() == 1
    (alert,) = await known(engine)
    assert (alert.kind, alert.next_try_at) == ("forecast", None)  # nobody is to be told
    assert "2026-11-22T1" in alert.body["text"]


async def test_limits_of_tokens_are_told_of_and_each_scope_for_itself(engine: Engine) -> None:
    clock = Clock()
    rule = budget(measure="tokens", amount=100, scope=Scope("user", "*"), warn_at=(0.2,))
    await given(engine, rule)
    await spend(engine, "r1", 1, user="ana")
    await spend(engine, "r2", 1, user="bo")
    await spend(engine, "r3", 1, user="bo")
    watch = Watch(engine, sender(clock), clock=clock)
    await watch.look()
    assert {alert.scope_id for alert in await known(engine)} == {"ana", "bo"}


async def test_a_failing_receiver_is_tried_again_later_and_later(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        receiver.status = 500
        await given(engine, budget(webhook=receiver.url))
        await spend(engine, "r1", 500)
        watch = Watch(engine, sender(clock), clock=clock)
        await watch.look()
        pauses: list[float] = []
        for _ in range(4):
            assert (await watch.deliver()).failed == 1
            assert (await watch.deliver()).failed == 0  # not due yet
            (alert,) = await known(engine)
            assert alert.next_try_at is not None
            pauses.append((alert.next_try_at - clock.now).total_seconds())
            clock.now = alert.next_try_at
        assert pauses == [3.75, 7.5, 15, 30]
        assert "it answered (500)" in (await known(engine))[0].error
        receiver.status = 200
        assert (await watch.deliver()).sent == 1
        ids = {headers["x-santral-alert-id"] for headers in receiver.headers}
        assert len(ids) == 1
        assert len(receiver.bodies) == 5


async def test_it_is_given_up_in_the_end(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        receiver.status = 404
        await given(engine, budget(webhook=receiver.url))
        await spend(engine, "r1", 500)
        watch = Watch(engine, sender(clock), clock=clock)
        await watch.look()
        (alert,) = await known(engine)
        done = alert
        for _ in range(MOST_TRIES):
            done = await sender(clock).send(done)
        assert (done.next_try_at, done.error[:9]) == (None, "given up:")


async def test_a_redirect_is_not_followed_and_a_slow_one_is_left(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        alert = made(receiver.url)
        receiver.status = 307
        assert "redirect (307)" in (await sender(clock).send(alert)).error
        receiver.status, receiver.wait_s = 200, 2.0
        assert "no answer within 0.5 s" in (await sender(clock).send(alert)).error
    nobody = await sender(clock).send(made("http://127.0.0.1:9/x"))
    assert nobody.tries == 1
    assert nobody.error


async def test_a_dead_receiver_delays_nobody(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as dead, receiving() as alive:
        dead.wait_s = 30.0
        rules = [
            budget(f"lim_{n}", scope=Scope("user", f"u{n}"), webhook=f"{dead.url}", warn_at=(0.1,))
            for n in range(5)
        ]
        rules.append(budget("lim_alive", webhook=alive.url, warn_at=(0.1,)))
        await given(engine, *rules)
        for n in range(5):
            await spend(engine, f"r{n}", 300, user=f"u{n}")
        watch = Watch(engine, sender(clock), clock=clock)
        await watch.look()
        began = time.monotonic()
        done = await watch.deliver()
        assert time.monotonic() - began < 5
        assert (done.failed, len(dead.bodies), len(alive.bodies)) == (1, 1, 1)
        waiting = [
            a for a in await known(engine) if a.webhook == dead.url and a.delivered_at is None
        ]
        assert all(
            a.next_try_at is not None and a.next_try_at > clock.now for a in waiting if a.tries
        )


async def test_addresses_inside_the_network_are_refused(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
            done = await sender(clock, allow_private=False).send(made(url))
            assert "inside the network" in done.error
        assert receiver.bodies == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
     "fd00::1", "224.0.0.1", "0.0.0.0", "2002:a00:1::"],
)  # fmt: skip
async def test_every_spelling_of_an_inner_address_is_known(host: str) -> None:
    with pytest.raises(Refused):
        require_public([host])


async def test_public_addresses_and_names_pass() -> None:
    require_public(["1.1.1.1", "2606:4700:4700::1111", "example.com"])


async def test_a_kill_between_writing_and_sending_loses_nothing(engine: Engine) -> None:
    clock = Clock()
    async with receiving() as receiver:
        await given(engine, budget(webhook=receiver.url))
        await spend(engine, "r1", 500)
        await Watch(engine, sender(clock), clock=clock).look()
        # What runs now knows nothing of the one that wrote: it finds the row.
        assert (await Watch(engine, sender(clock), clock=clock).deliver()).sent == 1
        assert len(receiver.bodies) == 1


async def test_a_rule_for_each_leaves_out_who_has_one_of_their_own(engine: Engine) -> None:
    each = budget("lim_each", scope=Scope("user", "*"), amount=100)
    own = budget("lim_own", scope=Scope("user", "ana"), amount=10_000)
    await given(engine, each, own)
    await spend(engine, "r1", 90, user="ana")
    await spend(engine, "r2", 90, user="bo")
    async with reading(engine) as conn:
        burns = await read_burns(conn, [each, own], int(NOON.timestamp()))
    assert {(burn.rule.id, burn.scope_id, burn.spent) for burn in burns} == {
        ("lim_each", "bo", 90),
        ("lim_own", "ana", 90),
    }


async def test_hours_are_told_apart(engine: Engine) -> None:
    await given(engine, budget())
    for name, cost, ago in (("r1", 1, 10), ("r2", 2, 3599), ("r3", 4, 3601), ("r4", 8, 86_399)):
        await spend(engine, name, cost, ago)
    async with reading(engine) as conn:
        (burn,) = await read_burns(conn, [budget()], int(NOON.timestamp()))
    assert (burn.hours[0], burn.hours[1], burn.hours[23]) == (3, 4, 8)
    assert sum(burn.hours) == 15


async def test_a_slow_look_is_seldom_and_does_not_keep_alerts_from_leaving(engine: Engine) -> None:
    clock, elapsed, naps = Clock(), 0.0, 0
    await given(engine, budget())

    class Slow(Watch):
        looks = delivered = 0

        async def look(self) -> int:
            nonlocal elapsed
            elapsed += 3.0
            self.looks += 1
            return 0

        async def deliver(self) -> Round:
            self.delivered += 1
            return await super().deliver()

    async def sleep(seconds: float) -> None:
        nonlocal elapsed, naps
        elapsed += seconds
        naps += 1
        if naps == 9:
            raise asyncio.CancelledError

    watch = Slow(engine, sender(clock), clock=clock, timer=lambda: elapsed)
    with pytest.raises(asyncio.CancelledError):
        await watch.run(15.0, sleep)
    assert (watch.looks, watch.delivered) == (3, 9)


async def test_a_model_is_limited_by_its_own_name_and_its_deployments(engine: Engine) -> None:
    rules = [
        budget("lim_model", scope=Scope("model", "gpt")),
        budget("lim_deployment", scope=Scope("model", "main")),
    ]
    await given(engine, *rules)
    await spend(engine, "r1", 70)
    async with reading(engine) as conn:
        burns = await read_burns(conn, rules, int(NOON.timestamp()))
    assert [(burn.spent, burn.hours[0]) for burn in burns] == [(70, 70), (70, 70)]


def made(url: str) -> Alert:
    return Alert(
        id="alr_1",
        tenant_id="acme",
        limit_id="lim_1",
        scope_id="acme",
        window_start=NOON,
        kind="spent",
        body={"text": "t", "webhook": url},
        created_at=NOON,
        next_try_at=NOON,
    )


async def test_a_signature_is_of_time_and_body() -> None:
    assert signature(b"k", b"{}", 5) != signature(b"k", b"{}", 6)
    assert signature(b"k", b"{}", 5).startswith("t=5,v1=")

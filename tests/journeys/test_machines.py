"""Two machines, each with its own data folder, on one PostgreSQL and one Redis."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.cache.redis_server import RedisServer, redis_server
from tests.db.postgres import require_postgres, running_postgres
from tests.journeys.conftest import Santral, configuration, wait_until
from tests.journeys.test_workers import CALM
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.journey,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.timeout(600),
]

#: What a change may take to arrive. Specified: 2 s; the rest is for a machine with other work.
WITHIN_S = 4.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, redis: RedisServer
) -> Iterator[list[Santral]]:
    """Two installations that start at once on an empty database."""
    require_postgres()
    # The server runs as another user, who may not enter the folders that pytest makes.
    with TemporaryDirectory() as folder, running_postgres(Path(folder)) as url:
        more = (
            CALM + '[database]\nurl = "env:CONTROL_DATABASE"\n[limits]\nurl = "env:LIMITS_REDIS"\n'
        )
        env = {"CONTROL_DATABASE": url, "LIMITS_REDIS": redis.url}
        started: list[Santral] = []

        def start(number: int) -> None:
            own = tmp_path_factory.mktemp(f"machine-{number}")
            many = env | {"SANTRAL_SERVER__WORKERS": "2"}
            started.append(Santral(own, configuration(upstream.base_url, more), many))

        threads = [threading.Thread(target=start, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        yield started
        for machine in started:
            machine.stop()


def first_and_other(machines: list[Santral]) -> tuple[Santral, Santral]:
    """Return the machine that showed the first keys, and the other, which knows them now."""
    one, other = sorted(machines, key=lambda machine: not machine.admin_key)
    other.key, other.admin_key = one.key, one.admin_key
    return one, other


def statuses(machine: Santral, key: str) -> set[int]:
    """Ask on some connections of their own, so over all workers of the machine."""
    return {machine.post(machine.chat("calm-ok"), key=key)[0] for _ in range(12)}


def test_two_first_starts_at_once_make_one_installation(machines: list[Santral]) -> None:
    assert len(machines) == 2
    assert sum(bool(machine.admin_key) for machine in machines) == 1, "first keys are made once"
    one, other = first_and_other(machines)
    assert statuses(one, one.key) == statuses(other, one.key) == {200}
    for machine in machines:
        assert "Traceback" not in machine.logs(), machine.logs()[-3000:]


@pytest.mark.parametrize("made_on_first", [True, False])
def test_a_key_made_or_revoked_on_one_machine_is_so_on_the_other(
    machines: list[Santral], made_on_first: bool
) -> None:
    one, other = first_and_other(machines)
    here, there = (one, other) if made_on_first else (other, one)
    made = here.admin("/api/keys", {"name": "k"}, "POST")
    since = time.monotonic()
    for machine in (there, here):
        wait_until(lambda m=machine: statuses(m, made["plaintext"]) == {200}, WITHIN_S)
    assert time.monotonic() - since < 2 * WITHIN_S
    here.admin(f"/api/keys/{made['key']['id']}", method="DELETE")
    for machine in (there, here):
        wait_until(lambda m=machine: statuses(m, made["plaintext"]) == {401}, WITHIN_S)


def test_a_budget_worth_one_call_is_worth_one_on_both_machines_together(
    machines: list[Santral],
) -> None:
    one, other = first_and_other(machines)
    one.admin("/api/tenants", {"id": "poor", "name": "Poor"}, "POST")
    key = one.admin("/api/keys", {"tenant_id": "poor", "name": "k"}, "POST")["plaintext"]
    rule = {"tenant_id": "poor", "measure": "requests", "window": "day", "amount": 1}
    one.admin("/api/limits", rule, "PUT")
    time.sleep(WITHIN_S)
    found: list[int] = []
    gate = threading.Barrier(20)

    def ask(machine: Santral) -> None:
        gate.wait(20)
        found.append(machine.post(machine.chat("calm-slow"), key=key)[0])

    callers = [
        threading.Thread(target=ask, args=(machine,)) for machine in (one, other) for _ in range(10)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert Counter(found) == {200: 1, 429: 19}


def test_each_machine_goes_on_when_the_other_stops(machines: list[Santral]) -> None:
    one, other = first_and_other(machines)
    assert other.stop() == 0
    assert statuses(one, one.key) == {200}
    other.start()
    wait_until(lambda: statuses(other, one.key) == {200}, 20)

"""Several workers on one machine: nothing is lost when they are replaced, and little when one is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cache.redis_server import RedisServer, redis_server
from tests.journeys.conftest import Santral, wait_until
from tests.journeys.load import Load
from tests.journeys.test_batches import begin, ended, line
from tests.upstream import Upstream

pytestmark = [pytest.mark.journey, pytest.mark.redis, pytest.mark.timeout(600)]

StartMany = Callable[..., Santral]

#: Deployments that no busy machine makes late: what fails here is to be the gateway's own doing.
CALM = "".join(
    f'[deployments.calm-{name}]\nprovider = "scripted"\nmodel = "{model}"\n'
    "timeouts = { connect_s = 9, first_delta_s = 20, between_deltas_s = 20, total_s = 60 }\n"
    for name, model in (("ok", "ok"), ("paced", "paced"), ("slow", "slow:1500"))
)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


@pytest.fixture
def start_many(own_santral: StartMany, redis: RedisServer) -> StartMany:
    """Start an installation with some workers; it is there when all accept connections."""

    def start(workers: int, more: str = "", env: dict[str, str] | None = None) -> Santral:
        many = {"SANTRAL_LIMITS__URL": "env:LIMITS_REDIS", "LIMITS_REDIS": redis.url}
        if workers > 1:
            many["SANTRAL_SERVER__WORKERS"] = str(workers)
        return own_santral(CALM + more, env=many | (env or {}))

    return start


def numbers(santral: Santral) -> dict[str, float]:
    """Return every line of the gateway's metrics."""
    text = santral.get(f"{santral.gateway}/metrics")[2].decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def requests_of(found: dict[str, float]) -> float:
    return sum(v for name, v in found.items() if name.startswith("santral_requests_total"))


def restart(santral: Santral, within_s: int = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "santral", "restart", "--within", str(within_s)],
        env=santral.env,
        capture_output=True,
        text=True,
        timeout=within_s + 30,
    )


def test_no_request_is_lost_while_all_processes_are_replaced_under_load(
    start_many: StartMany,
) -> None:
    santral = start_many(2)
    first = set(santral.children("gateway"))
    with Load(santral) as load:
        load.closed_loop(2)
        load.now_and_then(10, most_s=1.5)
        load.streams(3)
        load.uploads(2)
        wait_until(lambda: len(load.done) == 4, 60)
        for _ in range(2):
            done = restart(santral)
            assert done.returncode == 0, done.stdout + done.stderr + santral.logs()
    assert load.faults == []
    assert min(load.done[kind] for kind in ("whole", "idle", "stream", "upload")) > 5, load.done
    assert load.told_to_close, "what was under way is told to come on another connection"
    assert not first & set(santral.children("gateway"))
    assert "Traceback" not in santral.logs(), santral.logs()[-5000:]
    # No counter forgot a worker that was replaced.
    asked = load.done["whole"] + load.done["idle"] + load.done["stream"]
    wait_until(lambda: requests_of(numbers(santral)) >= asked, 10)
    assert requests_of(numbers(santral)) == asked
    assert numbers(santral)['santral_worker_ends_total{cause="replaced"}'] == 4
    assert santral.stop() == 0


def test_a_restart_brings_what_cannot_change_while_running_and_refuses_what_cannot_start(
    start_many: StartMany,
) -> None:
    santral = start_many(1)
    text = santral.config.read_text()
    santral.config.write_text(text.replace("[server]\n", "[server]\nprot = 1\n"))
    refused = restart(santral)
    assert refused.returncode == 1
    assert "Did you mean 'port'?" in " ".join(refused.stderr.split())
    santral.process.send_signal(signal.SIGUSR2)  # what the command sends, and nobody looked before
    wait_until(lambda: "restart_refused" in santral.logs(), 30)
    assert "Did you mean 'port'?" in santral.logs()
    assert santral.post(santral.chat("calm-ok"))[0] == 200
    santral.config.write_text(text.replace("[server]\n", "[server]\nworkers = 3\n"))
    with Load(santral) as load:
        load.now_and_then(6, most_s=0.5)
        assert restart(santral).returncode == 0, santral.logs()
        wait_until(lambda: len(santral.children("gateway")) == 3, 20)
        wait_until(lambda: numbers(santral)["santral_workers"] == 3, 20)
        santral.config.write_text(text)
        assert restart(santral).returncode == 0, santral.logs()
        wait_until(lambda: len(santral.children("gateway")) == 1, 20)
        time.sleep(1)  # on sockets of workers that are no more, too
    assert load.faults == []


def test_a_killed_worker_takes_only_its_own_requests_with_it(start_many: StartMany) -> None:
    santral = start_many(2)
    counted: list[float] = []
    with Load(santral) as load:
        load.closed_loop(4)
        load.streams(2)
        load.now_and_then(6, most_s=1.0)
        wait_until(lambda: len(load.done) == 3, 60)
        killed_at: list[float] = []
        for _ in range(2):
            counted.append(requests_of(numbers(santral)))
            killed_at.append(time.monotonic() - load.started_at)
            os.kill(santral.children("gateway")[0], signal.SIGKILL)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                counted.append(requests_of(numbers(santral)))
                time.sleep(0.1)
            wait_until(lambda: len(santral.children("gateway")) == 2, 20)
            wait_until(lambda: numbers(santral)["santral_workers"] == 2, 20)
    # At most what every connection had under way, at once, and in the way that SDKs ask again for.
    assert len(load.faults) <= 2 * 12, load.faults
    for fault in load.faults:
        at = float(fault.split()[0])
        assert any(0 <= at - kill <= 1.5 for kill in killed_at), (fault, killed_at)
        assert any(
            word in fault for word in ("Disconnected", "Reset", "Incomplete", "BrokenPipe")
        ), fault
    assert counted == sorted(counted), "no counter goes backwards"
    assert numbers(santral)['santral_worker_ends_total{cause="died"}'] == 2
    logs = santral.logs()
    assert "process_died" in logs
    assert "worker=1" in logs or "worker=0" in logs


def test_an_official_sdk_notices_nothing_of_a_killed_worker(start_many: StartMany) -> None:
    santral = start_many(2)
    client = santral.client().with_options(max_retries=2)  # what the SDK does by itself
    until = time.monotonic() + 8
    kills = [until - 6, until - 3]
    asked = 0
    while time.monotonic() < until:
        if kills and time.monotonic() > kills[0]:
            kills.pop(0)
            os.kill(santral.children("gateway")[0], signal.SIGKILL)
        message = {"role": "user", "content": f"Hello {asked}"}
        answer = client.chat.completions.create(model="calm-ok", messages=[message])  # type: ignore[list-item]
        assert answer.choices[0].message.content
        asked += 1
    assert asked > 10
    assert not kills


def test_a_worker_that_hangs_is_killed_and_replaced(start_many: StartMany) -> None:
    santral = start_many(2, env={"SANTRAL_SERVER__STUCK_S": "2"})
    stuck = santral.children("gateway")[0]
    os.kill(stuck, signal.SIGSTOP)
    for _ in range(40):  # its queue is served by the other one meanwhile
        assert santral.post(santral.chat("calm-ok"))[0] == 200
    wait_until(lambda: "worker_hangs" in santral.logs(), 30)
    wait_until(lambda: stuck not in santral.children("gateway"), 30)
    wait_until(lambda: numbers(santral)["santral_workers"] == 2, 30)
    assert numbers(santral)['santral_worker_ends_total{cause="hung"}'] == 1


def test_a_configuration_comes_into_force_in_all_workers_or_in_none(
    start_many: StartMany,
) -> None:
    santral = start_many(3)
    text = santral.config.read_text()
    route = "\n[routes.fresh]\nladder = [{ deployments = { calm-ok = 1 } }]\n"
    santral.config.write_text(text + route)
    wait_until(lambda: numbers(santral)["santral_config_generation"] == 2, 10)
    # Each on a connection of its own, so over all workers.
    assert {santral.post(santral.chat("fresh"))[0] for _ in range(30)} == {200}
    santral.config.write_text(text + route + "\n[routes.broken]\nladdr = []\n")
    refusals = "santral_config_reload_failures_total"
    wait_until(lambda: numbers(santral)[refusals] == 1, 10)
    assert {santral.post(santral.chat("fresh"))[0] for _ in range(30)} == {200}
    assert numbers(santral)["santral_config_generation"] == 2


def test_keys_reach_all_workers_and_revoked_ones_leave_them(start_many: StartMany) -> None:
    santral = start_many(3)
    made = santral.admin("/api/keys", {"name": "second"}, "POST")

    def statuses() -> set[int]:
        asked = [santral.post(santral.chat("calm-ok"), key=made["plaintext"]) for _ in range(20)]
        return {status for status, _, _ in asked}

    wait_until(lambda: statuses() == {200}, 5)
    santral.admin(f"/api/keys/{made['key']['id']}", method="DELETE")
    wait_until(lambda: statuses() == {401}, 5)


def test_one_worker_answers_for_what_another_keeps_and_a_batch_is_asked_once(
    start_many: StartMany, upstream: Upstream
) -> None:
    santral = start_many(2)
    client = santral.client()
    kept = client.responses.create(model="calm-ok", input="Hello")
    for _ in range(20):  # without keep-alive: over both workers
        status, _, body = santral.get(f"{santral.gateway}/v1/responses/{kept.id}", santral.key)
        assert status == 200
        assert json.loads(body)["id"] == kept.id
    lines = [line(f"unique-{n}", model="calm-slow") for n in range(24)]
    batch = begin(client, *lines)
    time.sleep(2)
    assert restart(santral).returncode == 0
    done = ended(santral.client(), batch.id, 90)
    assert (done.status, done.request_counts.completed) == ("completed", 24)
    asked = Counter(
        seen.body["messages"][-1]["content"]
        for seen in upstream.seen
        if "Question unique-" in json.dumps(seen.body)
    )
    assert set(asked.values()) == {1}, asked
    assert len(asked) == 24


def test_of_calls_at_once_on_a_budget_worth_one_exactly_one_is_admitted(
    start_many: StartMany,
) -> None:
    santral = start_many(4, "[limits]\nrequests_per_day = 1\n")
    statuses: list[int] = []
    gate = threading.Barrier(24)

    def ask() -> None:
        gate.wait(20)
        statuses.append(santral.post(santral.chat("calm-slow"))[0])

    callers = [threading.Thread(target=ask) for _ in range(24)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert Counter(statuses) == {200: 1, 429: 23}


def test_more_workers_than_one_without_redis_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "santral", "serve", "--workers", "2"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "2 workers need Redis" in done.stderr
    assert "limits.url" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_restart_of_nothing_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "santral", "restart"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "No `santral serve` runs" in done.stderr

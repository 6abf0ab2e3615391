"""Processes start, drain, die and reload without losing what was promised."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import Santral, wait_until
from tests.stream_checker import check_chat_stream

pytestmark = pytest.mark.journey


def test_a_stream_that_runs_when_the_gateway_stops_is_finished(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral()
    answers: list[tuple[int, dict[str, str], bytes]] = []
    body = santral.chat("paced", "word " * 40, stream=True)
    thread = threading.Thread(target=lambda: answers.append(santral.post(body)))
    thread.start()
    time.sleep(0.3)
    assert santral.stop() == 0
    thread.join(10)
    status, _, answer = answers[0]
    assert status == 200
    assert "finish_reason" in json.dumps(check_chat_stream(answer)[-1])


def test_a_stream_that_outlasts_the_drain_is_told_so_and_not_blamed_on_its_caller(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral(
        '[deployments.endless]\nprovider = "scripted"\nmodel = "stalled-middle"\n'
    )
    answers: list[tuple[int, dict[str, str], bytes]] = []
    body = santral.chat("endless", stream=True)
    thread = threading.Thread(target=lambda: answers.append(santral.post(body)))
    thread.start()
    time.sleep(0.5)
    assert santral.stop() == 0
    thread.join(10)
    status, headers, answer = answers[0]
    assert status == 200
    assert check_chat_stream(answer)[-1]["error"]["code"] == "gateway_stopping"
    santral.start()
    trace = santral.trace(headers["x-santral-trace-id"])
    assert trace["error"] == "gateway_stopping"
    assert not trace.get("is_cancelled")


def test_two_instances_on_one_data_folder_are_refused(santral: Santral) -> None:
    env = santral.env | {"SANTRAL_SERVER__PORT": "0", "SANTRAL_CONTROL__PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "santral", "serve"],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "Another `santral serve` runs the gateway" in sentence(done)
    assert santral.post(santral.chat("ok"))[0] == 200


def test_a_worker_killed_comes_back_and_loses_no_trace(own_santral: Callable[..., Santral]) -> None:
    santral = own_santral()
    traces = [santral.post(santral.chat("ok"))[1]["x-santral-trace-id"] for _ in range(20)]
    for pid in santral.children("gateway"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _status(santral) == 200, 10)
    for trace_id in traces:
        assert santral.trace(trace_id)["status"] == 200


def _is_ready(santral: Santral) -> bool:
    try:
        return santral.get(f"{santral.control}/health/ready")[0] == 200
    except OSError:
        return False


def _status(santral: Santral) -> int:
    try:
        return santral.post(santral.chat("ok"))[0]
    except OSError:
        return 0


def test_the_collector_killed_comes_back_and_stores_everything_once(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral()
    traces = []
    for number in range(30):
        traces.append(santral.post(santral.chat("ok"))[1]["x-santral-trace-id"])
        if number in (10, 20):
            for pid in santral.children("control"):
                os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _is_ready(santral), 20)
    for trace_id in traces:
        assert santral.trace(trace_id, 10)["status"] == 200
    listed = santral.admin("/api/traces?limit=100&route=ok")["traces"]
    assert sorted(t["trace_id"] for t in listed) == sorted(traces)


def test_a_changed_file_comes_into_force_and_a_broken_one_does_not(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral()
    text = santral.config.read_text()
    route = "\n[routes.fresh]\nladder = [{ deployments = { d-ok = 1 } }]\n"
    santral.config.write_text(text + route)
    wait_until(lambda: santral.post(santral.chat("fresh"))[0] == 200, 4)
    santral.config.write_text(text + route + "\n[routes.broken]\nladdr = []\n")
    wait_until(lambda: "config_refused" in santral.logs(), 4)
    assert "Did you mean 'ladder'" in santral.logs()
    assert santral.post(santral.chat("fresh"))[0] == 200
    assert b"santral_config_reload_failures_total 1" in santral.get(f"{santral.gateway}/metrics")[2]
    santral.config.write_text(text.replace("[server]", "[server]\nmax_in_flight = 9") + route)
    wait_until(lambda: "server cannot change while running" in santral.logs(), 4)


def test_sighup_reloads(own_santral: Callable[..., Santral]) -> None:
    santral = own_santral()
    santral.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: b"santral_config_generation 2" in santral.get(f"{santral.gateway}/metrics")[2], 4
    )


def test_health_and_metrics_need_no_key(santral: Santral) -> None:
    assert santral.get(f"{santral.gateway}/health/live")[0] == 200
    assert json.loads(santral.get(f"{santral.gateway}/health/ready")[2])["reasons"] == []
    metrics = santral.get(f"{santral.gateway}/metrics")[2].decode()
    assert "# TYPE santral_requests_total counter" in metrics
    assert santral.key not in metrics


def test_received_equals_spooled_and_stored(own_santral: Callable[..., Santral]) -> None:
    santral = own_santral()
    for _ in range(25):
        santral.post(santral.chat("ok"))

    def collected() -> bool:
        text = santral.get(f"{santral.control}/metrics")[2].decode()
        return 'santral_collector_records_total{state="stored"} 25' in text

    wait_until(collected, 5)
    text = santral.get(f"{santral.gateway}/metrics")[2].decode()
    assert "santral_spool_received_total 25" in text
    assert "santral_spool_spooled_total 25" in text
    assert "santral_spool_dropped_total 0" in text


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")}
    return subprocess.run(
        [sys.executable, "-m", "santral", *arguments],
        cwd=folder, env=clean | env, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_port_in_use_is_a_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = sentence(run(tmp_path, "serve", SANTRAL_SERVER__PORT=port))
    assert f"port {port} on 127.0.0.1 is in use" in said
    assert list(tmp_path.iterdir()) == []


def test_a_broken_configuration_is_a_sentence_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text("[server]\nprot = 1\n")
    assert "santral.toml:2: server.prot: unknown setting. Did you mean 'port'?" in sentence(
        run(tmp_path, "serve")
    )


def test_more_workers_than_one_need_redis_and_say_so(tmp_path: Path) -> None:
    assert "need Redis" in sentence(run(tmp_path, "serve", "--workers", "2"))


def test_a_data_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    env: dict[str, Any] = {
        "SANTRAL_DATA__FOLDER": str(tmp_path / "file" / "data"),
        "SANTRAL_SERVER__PORT": "0",
        "SANTRAL_CONTROL__PORT": "0",
    }
    assert "cannot be made" in sentence(run(tmp_path, "serve", **env))


def test_a_second_collector_on_one_store_is_refused(santral: Santral) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "santral", "serve", "--role", "control"],
        env=santral.env | {"SANTRAL_CONTROL__PORT": "0"}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert "Another `santral serve`" in sentence(done)


def test_the_first_keys_are_shown_once(own_santral: Callable[..., Santral]) -> None:
    santral = own_santral()
    first = santral.key
    santral.stop()
    santral.key = ""
    santral.start()
    assert santral.key == ""
    santral.key = first
    assert santral.post(santral.chat("ok"))[0] == 200
    stored = b"".join(
        p.read_bytes() for p in (santral.folder / "santral-data").rglob("*") if p.is_file()
    )
    assert first.encode() not in stored
    assert first not in santral.logs()

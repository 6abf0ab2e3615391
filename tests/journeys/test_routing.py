"""Routes change under running requests, copies are compared after the fact: real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from tests.journeys.conftest import Santral, wait_until
from tests.stream_checker import check_chat_stream

pytestmark = pytest.mark.journey

DEPLOYMENT = """
[deployments.{name}]
provider = "scripted"
model = "{model}"
"""


def route(deployment: str) -> str:
    return f"[routes.live]\nladder = [{{ deployments = {{ {deployment} = 1, d-ok = 0 }} }}]\n"


def test_a_stream_ends_on_what_it_began_while_its_route_changes(
    own_santral: Callable[..., Santral],
) -> None:
    old = DEPLOYMENT.format(name="old", model="paced:60") + route("old")
    santral = own_santral(old)
    text = santral.config.read_text()
    question = "a question that takes a while to repeat, piece by piece, until the very end"
    answers: list[tuple[int, dict[str, str], bytes]] = []

    def ask() -> None:
        answers.append(santral.post(santral.chat("live", question, stream=True)))

    slow = threading.Thread(target=ask)
    slow.start()
    wait_until(lambda: b"santral_in_flight 1" in santral.get(f"{santral.gateway}/metrics")[2], 4)
    new = DEPLOYMENT.format(name="new", model="ok") + route("new")
    santral.config.write_text(text.replace(old, new))

    def answered_by() -> str:
        return santral.post(santral.chat("live"))[1].get("x-santral-deployment", "")

    wait_until(lambda: answered_by() == "new", 4)
    assert slow.is_alive(), "the stream outlasts the reload"
    slow.join(10)
    [(status, headers, body)] = answers
    assert (status, headers["x-santral-deployment"]) == (200, "old")
    events = check_chat_stream(body)
    said = "".join(c["delta"].get("content") or "" for e in events for c in e.get("choices", ()))
    assert said == f"You asked: {question}"
    assert santral.post(santral.chat("old"))[0] == 404, "the removed deployment is gone"


def test_copies_are_kept_beside_the_answers_and_compared(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral(
        "[routes.mirrored]\nladder = [{ deployments = { d-ok = 1 } }]\n"
        'shadow = { deployments = ["d-slow-100"], share = 1.0 }\n'
    )
    for number in range(3):
        answer = santral.post(santral.chat("mirrored", f"question {number}"))
        assert answer[1]["x-santral-deployment"] == "d-ok"

    def copies() -> int:
        return len(santral.admin("/api/traces?route=mirrored%23shadow")["traces"])

    wait_until(lambda: copies() == 3, 6)
    metrics = santral.get(f"{santral.gateway}/metrics")[2].decode()
    assert 'santral_shadow_total{route="mirrored",outcome="answered"} 3' in metrics
    assert 'santral_requests_total{route="mirrored#shadow"' not in metrics
    result = subprocess.run(
        [sys.executable, "-m", "santral", "routes", "compare", "--route", "mirrored",
         "--key", santral.admin_key, "--url", santral.control],
        env=santral.env, capture_output=True, text=True, cwd=santral.folder, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    row = result.stdout.splitlines()[1].split("\t")
    assert row[:3] == ["d-slow-100", "3", "0"]
    assert float(row[3]) >= 100 > float(row[4])
    assert row[-1] == "1.00"


def test_a_request_is_explained_without_a_server(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral()
    file = santral.folder / "request.json"
    file.write_text(json.dumps(santral.chat("busy-or-ok")))
    result = subprocess.run(
        [sys.executable, "-m", "santral", "routes", "explain", str(file)],
        env=santral.env | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["route", "busy-or-ok"]
    assert [line.split()[1] for line in lines[-2:]] == ["d-busy", "d-ok"]

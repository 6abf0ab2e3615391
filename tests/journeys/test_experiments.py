"""An experiment from its start to the moment when its guard stops it, on the running system."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.journeys.conftest import Santral, wait_until

pytestmark = pytest.mark.journey

SETTINGS = {
    "unit": "user",
    "routes": ["ok"],
    "primary": ["error_rate"],
    "guards": [{"metric": "error_rate", "margin": 0.05}],
    "variants": {"plain": {"weight": 1}, "new": {"weight": 1, "route": "failed"}},
}
#: Within it a change is in force. Specified: DESIGN, processes and ports; and what a busy machine adds.
IN_FORCE_S = 2.0 + 3.0


def test_a_guard_stops_an_arm_that_does_harm_and_everybody_gets_the_control(
    own_santral: Callable[..., Santral],
) -> None:
    running = own_santral()

    def ask(user: str) -> int:
        return running.post(running.chat("ok", santral={"user": user}))[0]

    made = {"name": "harm", "settings": SETTINGS}
    assert running.admin("/api/experiments", made)["state"] == "draft"
    assert {ask(f"early-{n}") for n in range(6)} == {200}  # a draft changes nothing
    assert running.admin("/api/experiments/harm/start", {})["state"] == "running"
    began = time.monotonic()
    wait_until(lambda: any(ask(f"first-{n}") >= 500 for n in range(4)), IN_FORCE_S)
    assert time.monotonic() - began < IN_FORCE_S
    users = [f"user-{n}" for n in range(500)]
    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(ask, users))
    assert answers[200] > 180
    assert sum(answers.values()) - answers[200] > 180

    def is_stopped() -> bool:
        return running.admin("/api/experiments/harm")["state"] == "stopped"

    wait_until(is_stopped, 40)
    time.sleep(IN_FORCE_S)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, users[:60])) == {200}  # the arms are gone
    newest = running.admin("/api/experiments/harm/log")["events"][0]
    assert (newest["kind"], newest["actor"]) == ("stopped", "system")
    assert newest["evidence"]["metric"] == "error_rate"
    assert newest["evidence"]["low"] > 0.05
    told = running.admin("/api/experiments/harm/status")["conclusions"]
    assert any("'new' is worse than 'plain'" in line for line in told), told
    seen = running.admin("/api/experiments/harm/status")["status"]["analysis"]
    assert sum(arm["units"] for arm in seen["arms"]) >= 500
    assert seen["crossed_units"] == 0

"""A prompt from a push to a rollback and a 404, on the running system."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.journeys.conftest import Santral, wait_until

pytestmark = pytest.mark.journey

#: Within it a moved label is in force. Specified: DESIGN, processes and ports; and what a busy machine
#: adds.
IN_FORCE_S = 2.0 + 3.0
ROUTE = """
[routes.registered]
ladder = [{ deployments = { d-ok = 1 } }]
prompt = "registry:greet@production"
"""


def body(said: str) -> str:
    return f"+++\nchangelog = '{said}'\n+++\n## system\n{said}\n"


def test_a_label_is_followed_rolled_back_and_gone_within_two_seconds(
    own_santral: Callable[..., Santral],
) -> None:
    running = own_santral(ROUTE)
    labels = "/api/prompts/greet/labels/production"

    def ask() -> tuple[int, dict[str, str], bytes]:
        return running.post(running.chat("registered"))

    def version_seen() -> str:
        status, headers, _ = ask()
        if status != 200:
            return ""
        return str(running.trace(headers["x-santral-trace-id"])["prompt_version"])

    status, _, told = ask()
    assert (status, json.loads(told)["error"]["code"]) == (404, "prompt_not_found")
    for version in ("1.0.0", "2.0.0"):
        pushed = {"version": version, "body": body(f"Say {version}")}
        assert running.admin("/api/prompts/greet/versions", pushed)["is_new"]
        running.admin(labels, {"version": version, "reason": "release"}, "PUT")
        wait_until(lambda version=version: version_seen() == version, IN_FORCE_S)
    running.admin(f"{labels}/rollback", {"reason": "worse"})
    wait_until(lambda: version_seen() == "1.0.0", IN_FORCE_S)
    log = running.admin("/api/prompts/greet/log")["entries"]
    assert (log[0]["deed"], log[0]["reason"]) == ("rolled back", "worse")
    running.admin(labels, method="DELETE")
    wait_until(lambda: ask()[0] == 404, IN_FORCE_S)

"""Personal data in a running installation: policies reach workers, a person is erased everywhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.journeys.conftest import Santral, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

AYSE, MAIL, SAID = "kanarya-ayse", "ayse.kanarya@example.com", "KANARYA-said-this"
OTHER = "SERCE-said-that"

CACHED = """
[routes.cached]
ladder = [{ deployments = { d-ok = 1 } }]
cache = { enabled = true }
"""


@pytest.fixture
def running(own_santral: Callable[..., Santral]) -> Santral:
    return own_santral(CACHED)


def run(santral: Santral, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "santral", *arguments],
        env=santral.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def where(santral: Santral, *words: str) -> list[str]:
    folder = santral.folder / "santral-data"
    found: list[str] = []
    for path in folder.rglob("*"):
        try:
            data = path.read_bytes().lower() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if any(word.lower().encode() in data for word in words):
            found.append(str(path.relative_to(folder)))
    return found


def ask(santral: Santral, text: str, user: str = "", route: str = "ok") -> dict[str, str]:
    extras: dict[str, Any] = {"santral": {"user": user}} if user else {}
    status, headers, _ = santral.post(santral.chat(route, text, **extras))
    assert status == 200
    return headers


def test_a_policy_reaches_the_gateway_within_two_seconds(running: Santral) -> None:
    def payload_of(text: str) -> Any:
        return running.trace(ask(running, text)["x-santral-trace-id"]).get("payload")

    assert SAID in payload_of(SAID)["request"]
    assert "hashes" in run(running, "privacy", "payloads", "hashes")
    time.sleep(2.0)
    kept = payload_of("KANARYA-hashed")
    assert json.loads(kept["request"])[0]["length"] == len("KANARYA-hashed")
    running.admin(
        "/api/privacy/policy",
        {"tenant_id": "default", "payloads": "none", "retention_days": 5},
        "PUT",
    )
    time.sleep(2.0)
    assert payload_of("KANARYA-none") is None
    shown = running.admin("/api/privacy/policy")
    assert (shown["payloads"], shown["retention_days"]) == ("none", 5)
    assert where(running, "KANARYA-hashed", "KANARYA-none") == []
    assert "Did you mean 'redacted'" in run(running, "privacy", "payloads", "redactd", status=1)


def test_a_person_is_exported_erased_and_proved_while_everything_runs(
    running: Santral, tmp_path: Path
) -> None:
    ask(running, SAID, AYSE)
    ask(running, f"{OTHER}, ask {MAIL}", "mehmet")
    assert ask(running, f"cached {SAID}", AYSE, "cached")["x-santral-cache"] == "miss"
    assert ask(running, f"cached {SAID}", AYSE, "cached")["x-santral-cache"] == "hit"
    with running.client() as client:
        response = client.responses.create(model="ok", input=SAID, user=AYSE)
    wait_until(lambda: where(running, SAID))
    who = ("--user", AYSE, "--text", MAIL)
    out = tmp_path / "export"
    assert "traces.jsonl" in run(running, "privacy", "export", *who, "--out", str(out))
    exported = "".join(path.read_text() for path in out.iterdir())
    assert SAID in exported
    assert OTHER not in exported
    assert "traces" in run(running, "privacy", "erase", *who, "--dry-run")
    assert where(running, SAID)
    proof = tmp_path / "proof.json"
    run(running, "privacy", "erase", *who, "--proof", str(proof))
    assert where(running, SAID, MAIL, AYSE) == []
    assert where(running, OTHER)
    counts = {place["name"]: place for place in json.loads(proof.read_text())["places"]}
    assert counts["traces"]["before"]["own"]["traces"] == 4
    assert counts["traces"]["after"]["own"] == {}
    assert counts["responses"]["before"]["own"] == {"responses": 1}
    assert ask(running, f"cached {SAID}", "", "cached")["x-santral-cache"] == "miss"
    with running.client() as client, pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    assert "is whole" in run(running, "privacy", "verify", str(proof), *who)
    kinds = {job["kind"] for job in running.admin("/api/jobs")["jobs"]}
    assert {"privacy.export", "privacy.erase", "privacy.retain"} <= kinds


def test_an_erasure_goes_on_after_kill_9_and_without_a_running_process(
    running: Santral, tmp_path: Path
) -> None:
    ask(running, SAID, AYSE)
    wait_until(lambda: where(running, SAID))
    started = running.admin("/api/privacy/erasures", {"tenant_id": "default", "user": AYSE})
    job = started["id"]
    wait_until(lambda: running.admin(f"/api/jobs/{job}")["state"] == "running")
    os.kill(running.children("control")[0], 9)
    running.stop()
    proof = tmp_path / "proof.json"
    # Nothing runs: the command does it here. The killed job's lease runs out meanwhile, or it is done.
    run(running, "privacy", "erase", "--user", AYSE, "--proof", str(proof))
    assert (
        where(running, SAID, AYSE) == []
        or json.loads(run(running, "jobs", "show", job))["state"] == "running"
    )


def test_payloads_are_sealed_in_every_file_under_a_master_key(
    own_santral: Callable[..., Santral],
) -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    more = '[secrets]\nmaster_key = "env:MY_MASTER_KEY"\n'
    santral = own_santral(more, {"MY_MASTER_KEY": key})
    trace = santral.trace(ask(santral, SAID, AYSE)["x-santral-trace-id"])
    assert SAID in trace["payload"]["request"]
    assert where(santral, SAID) == []
    santral.stop()
    assert where(santral, SAID) == []

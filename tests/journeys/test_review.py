"""What users got is judged by people, and becomes a score of its trace; what waits is let go by one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.journeys.conftest import Santral, configuration, wait_until
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

ROUTES = """
[routes.careful]
ladder = [{ deployments = { d-ok = 1 } }]
hold = true
[routes.judged]
ladder = [{ deployments = { d-ok = 1 } }]
"""
HELLO: Any = [{"role": "user", "content": "Merhaba"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Santral]:
    folder = tmp_path_factory.mktemp("review")
    running = Santral(folder, configuration(upstream.base_url, ROUTES))
    yield running
    assert running.stop() == 0


def call(gateway: Santral, method: str, path: str, body: Any = None) -> Any:
    """Ask the admin API."""
    request = urllib.request.Request(
        f"{gateway.control}{path}",
        None if body is None else json.dumps({"tenant_id": "default", **body}).encode(),
        {"authorization": f"Bearer {gateway.admin_key}", "content-type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def next_item(gateway: Santral, queue: str) -> dict[str, Any]:
    """Return the item that waits, once the control process has put one there."""
    path = f"/api/review/queues/{queue}/next"
    return wait_until(lambda: call(gateway, "POST", path, {})["item"], 20)


def test_an_answer_is_judged_and_the_outcome_is_a_score_of_its_trace(gateway: Santral) -> None:
    rules = [{"kind": "random", "probability": 1.0, "route": "judged"}]
    settings = {"labels": [{"name": "correct"}], "rules": rules}
    call(gateway, "POST", "/api/review/queues", {"name": "daily", "settings": settings})
    with gateway.client() as client:
        asked = client.chat.completions.with_raw_response.create(model="judged", messages=HELLO)
    trace_id = asked.headers["x-santral-trace-id"]
    item = next_item(gateway, "daily")
    assert item["shown"]["said"][-1] == {"role": "user", "text": "Merhaba"}
    assert item["shown"]["answers"] == [asked.parse().choices[0].message.content]
    path = f"/api/review/queues/daily/items/{item['item_id']}/submit"
    assert call(gateway, "POST", path, {"labels": {"correct": True}}) == {"state": "done"}

    def scored() -> list[Any]:
        return call(gateway, "GET", f"/api/traces/{trace_id}")["scores"]

    (score,) = wait_until(scored, 20)
    assert (score["name"], score["value"], score["source"]) == ("correct", 1.0, "reviewer")
    report = call(gateway, "GET", "/api/review/queues/daily/report")
    assert report["labels"][0]["rates"]["1"]["value"] == 1.0


def test_a_held_answer_is_let_go_from_its_queue(gateway: Santral) -> None:
    settings = {"labels": [{"name": "correct"}], "rules": [{"kind": "held", "route": "careful"}]}
    call(gateway, "POST", "/api/review/queues", {"name": "urgent", "settings": settings})
    with gateway.client() as client:
        held = client.chat.completions.with_raw_response.create
        with pytest.raises(Exception, match="held") as refused:
            held(model="careful", messages=HELLO)
        held_id = refused.value.response.headers["x-santral-held-id"]  # type: ignore[attr-defined]
        item = next_item(gateway, "urgent")
        assert item["kind"] == "held"
        body = {"decision": "replace", "replacement": "Merhaba, buyurun."}
        path = f"/api/review/queues/urgent/items/{item['item_id']}/submit"
        call(gateway, "POST", path, body)
        answer = client.get(f"/held/{held_id}", cast_to=object)
    assert "Merhaba, buyurun." in json.dumps(answer, ensure_ascii=False)

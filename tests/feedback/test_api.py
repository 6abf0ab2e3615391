from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from tests.traces.conftest import START_US, build_record

from santral.feedback.api import feedback_router
from santral.feedback.cli import _row
from santral.feedback.rates import FeedbackRates, Rate
from santral.statistics.interval import wilson
from santral.tenants.permission import Grant, Principal, Role
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree
from santral.traces.question import Progress
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio


def score(number: int, **changes: Any) -> ScoreRecord:
    fields: dict[str, Any] = {
        "id": f"{number:032x}", "tenant_id": "acme", "trace_id": f"{number:032x}",
        "name": "thumbs", "source": "user", "at_us": START_US + 10_000 + number,
        "value": float(number % 4 != 0), "comment": "said something",
    }  # fmt: skip
    return ScoreRecord(**{**fields, **changes})


@pytest.fixture
async def store() -> Any:
    store = TraceStore(Path(":memory:"), clock=lambda: START_US + 3_600_000_000)
    records = [
        build_record(
            n, tenant_id="acme", trace_id=f"{n:032x}", route="support", prompt="p",
            prompt_version="1" if n < 20 else "2", started_at_us=START_US + n,
        )
        for n in range(40)
    ]  # fmt: skip
    await store.insert(records, Progress(segment=""))
    await store.insert_scores([score(n) for n in range(1, 17)])
    yield store
    await store.close()


def client(store: TraceStore, role: Role = "admin") -> httpx.AsyncClient:
    tree = TenantTree({TenantId("acme"): None})

    def authorise(action: Any) -> Any:
        async def principal() -> Principal:
            return Principal("key:k", "203.0.113.7", (Grant(role, TenantId("acme")),), tree)

        return principal

    app = FastAPI()
    app.include_router(feedback_router(store, authorise))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


async def test_rates_say_of_how_many_and_how_sure(store: TraceStore) -> None:
    async with client(store) as http:
        answer = await http.get("/api/feedback", params={"by": "prompt", "since": "2h"})
    found = msgspec.json.decode(answer.content, type=FeedbackRates)
    assert found.responses == {"p@1": 20, "p@2": 20}
    (rate,) = found.rates
    assert (rate.part, rate.responses, rate.rated, rate.values) == ("p@1", 20, 16, 16)
    assert rate.response_rate == 0.8
    assert rate.share_positive == 0.75
    assert rate.interval == wilson(12, 16)
    assert _row(rate)[3:] == ("20", "16", "80.0%", "0.75", "75% (51% to 90%)")


async def test_scores_are_listed_in_pages_without_words_for_who_may_not_read_them(
    store: TraceStore,
) -> None:
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 5, "since": "2h"}
    async with client(store, "viewer") as http:
        while True:
            page = (await http.get("/api/feedback/scores", params=params)).json()
            seen += [one["id"] for one in page["scores"]]
            assert all(one["comment"] == "" for one in page["scores"])
            if page["next"] is None:
                break
            params["before"] = page["next"]
    assert len(seen) == len(set(seen)) == 16


def test_a_rate_without_values_has_no_mean() -> None:
    rate = Rate(
        part="", name="comment", source="user", evaluator_version="", responses=9, rated=2,
        response_rate=2 / 9, values=0, mean=None, share_positive=None, interval=None,
    )  # fmt: skip
    assert _row(rate) == ("all", "comment", "user", "9", "2", "22.2%", "-", "-")

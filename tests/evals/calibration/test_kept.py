"""Calibrations are kept by tenant and digest, on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from santral.audit.store import entries_after
from santral.db.engine import Engine, reading
from santral.errors import NotAllowed, NotFound, SantralError
from santral.evals.calibration.api import judges_router
from santral.evals.calibration.kept import calibrations_of, keep, standings_of
from santral.evals.standing import Agreed, Standing
from santral.tenants.operator import local_operator
from santral.tenants.permission import Action, Grant, Principal
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACME, OTHER = TenantId("acme"), TenantId("other")
BY = local_operator()


def standing(digest: str, value: float = 0.7) -> Standing:
    agreed = Agreed(method="cohen_kappa", value=value, low=0.5, high=0.8, percent=0.9, n=60)
    return Standing(
        judge="tone", digest=digest, kind="rubric", models=("m",), examples=60,
        errors={"unreadable": 1}, agreement=[agreed], floor=0.4, may_gate=True, reason="May gate.",
        humans=[agreed], cost_nanousd=None,
    )  # fmt: skip


async def test_the_newest_calibration_of_a_digest_is_in_force(engine: Engine) -> None:
    await keep(engine, ACME, "c1", standing("a" * 64, 0.6), NOW, by=BY)
    await keep(engine, ACME, "c2", standing("a" * 64, 0.7), NOW + timedelta(days=1), by=BY)
    await keep(engine, ACME, "c3", standing("b" * 64), NOW, by=BY)
    async with reading(engine) as conn:
        known = await standings_of(conn, ACME)
        assert await standings_of(conn, OTHER) == {}
    assert known.keys() == {"a" * 64, "b" * 64}
    assert known["a" * 64] == standing("a" * 64, 0.7)
    found = await calibrations_of(engine, ACME, "tone", by=BY, limit=1)
    assert [one.id for one in found] == ["c2"]


async def test_keeping_one_is_noted_and_needs_a_role(engine: Engine) -> None:
    await keep(engine, ACME, "c1", standing("a" * 64), NOW, by=BY)
    async with reading(engine) as conn:
        entries = await entries_after(conn, 0, 10)
    assert [(e.action, e.object) for e in entries] == [("judge.calibrate", "judge:tone")]
    viewer = Principal(
        name="user:v", origin="x", grants=(Grant("viewer", ACME),), tree=TenantTree({ACME: None})
    )
    assert await calibrations_of(engine, ACME, by=viewer)
    with pytest.raises(NotAllowed):
        await keep(engine, ACME, "c2", standing("b" * 64), NOW, by=viewer)
    with pytest.raises(NotFound):
        await calibrations_of(engine, OTHER, by=viewer)


async def test_a_judge_nobody_calibrated_is_named_with_the_nearest(engine: Engine) -> None:
    await keep(engine, ACME, "c1", standing("a" * 64), NOW, by=BY)
    with pytest.raises(NotFound, match="Did you mean 'tone'"):
        await calibrations_of(engine, ACME, "tune", by=BY)


async def test_the_api_shows_a_reader_what_judges_are_worth(engine: Engine) -> None:
    await keep(engine, ACME, "c1", standing("a" * 64), NOW, by=BY)
    viewer = Principal(
        name="user:v", origin="x", grants=(Grant("viewer", ACME),), tree=TenantTree({ACME: None})
    )

    def authorise(action: Action) -> Callable[[], Awaitable[Principal]]:
        async def who() -> Principal:
            viewer.require_somewhere(action)
            return viewer

        return who

    from santral.app.control import _answer_error  # pyright: ignore[reportPrivateUsage]

    app = FastAPI()
    app.add_exception_handler(SantralError, _answer_error)
    app.include_router(judges_router(engine, authorise))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as http:
        asked = {"tenant_id": "acme"}
        (listed,) = (await http.get("/api/evals/judges", params=asked)).json()["judges"]
        assert (listed["judge"], listed["may_gate"], listed["floor"]) == ("tone", True, 0.4)
        shown = (await http.get("/api/evals/judges/tone", params=asked)).json()
        assert shown["measured"]["agreement"][0]["method"] == "cohen_kappa"
        assert (await http.get("/api/evals/judges/tune", params=asked)).status_code == 404
        other = await http.get("/api/evals/judges", params={"tenant_id": "other"})
        assert other.status_code == 404

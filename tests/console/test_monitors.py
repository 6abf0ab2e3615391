"""Pages of monitors: what drifts, where, and the requests that show it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser
from tests.console.conftest import HOSTILE, RunningConsole, sample_record

from santral.evals.drift import keep
from santral.evals.drift.job import Looking
from santral.evals.drift.keep import LOOK, LookArguments
from santral.jobs.job import JobKind
from santral.jobs.runner import Runner
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.traces.record import TraceRecord
from santral.traces.store import epoch_us

HOUR_US = 3_600_000_000


def moved(now_us: int) -> list[TraceRecord]:
    """Requests of five days, those of the last hours three times as slow, on one route most of all."""
    rng, found = Random(3), []
    for number in range(900):
        hours = rng.random() * 120
        is_late = hours < 20
        record = sample_record(number, now_us - int(hours * HOUR_US))
        found.append(
            replace(
                record,
                tenant_id="default",
                route=f"slow{HOSTILE}"[:60] if is_late and rng.random() < 0.6 else "support",
                duration_us=rng.randrange(80_000, 120_000) * (4 if is_late else 1),
                session=f"s{number // 2}",
                cache="off",
                attempts=[],
            )
        )
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    running = RunningConsole(tmp_path_factory.mktemp("monitors"), moved(epoch_us()))
    settings = {"signals": ["latency", "cost", "refusal", "score:thumbs"], "reference_days": 4}

    async def look() -> None:
        now = datetime.now(UTC)
        by = local_operator()
        await create_tenant(running.engine, "elsewhere", None, now, by=by)
        await keep.create_monitor(running.engine, "default", "watch", settings, now, by=by)
        await keep.create_monitor(running.engine, "default", "idle", {}, now, by=by)
        job = await keep.start_look(running.engine, "default", "watch", now, by=by)
        work = Looking(running.engine, running.store, lambda: now)
        kind = JobKind(name=LOOK, about="", arguments=LookArguments, work=work)
        done = await Runner(running.engine, {LOOK: kind}, "me", lambda: now).run_one(job.id)
        assert done.state == "done", done.error

    try:
        running.do(look())
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_a_finding_is_shown_with_where_and_which_requests(house: RunningConsole, lang: str) -> None:
    with house.client() as owner:
        listed = owner.get(f"/monitors?lang={lang}").text
        shown = owner.get(f"/monitors/default/watch?lang={lang}").text
    assert "/monitors/default/watch" in listed
    assert ("suspect" if lang == "en" else "şüpheli") in shown
    assert "/traces/" in shown
    assert "<script>window.hit" not in shown


def test_monitors_are_made_paused_looked_with_and_deleted(house: RunningConsole) -> None:
    with house.client() as owner:
        made = owner.send_form(
            "/monitors", tenant="default", name="mine", signals="latency", every_hours="6"
        )
        assert (made.status_code, made.headers["location"].partition("?")[0]) == (
            303,
            "/monitors/default/mine",
        )
        refused = owner.send_form(
            "/monitors", tenant="default", name="other", signals="latency", every_hours="often"
        )
        assert (refused.status_code, "every_hours" in refused.text) == (400, True)
        assert 'value="other"' in refused.text  # what was written stays
        place = "/monitors/default/mine"
        assert owner.send_form(f"{place}/rest", is_paused="yes").status_code == 303
        assert "rests" in owner.get(place).text
        assert owner.send_form(f"{place}/look").headers["location"].startswith("/jobs/")
        assert owner.send_form(f"{place}/delete").status_code == 303
        assert owner.get(place).status_code == 404


def test_who_may_only_look_changes_nothing(house: RunningConsole) -> None:
    with house.client("viewer") as viewer:
        assert "/monitors/default/watch" in viewer.get("/monitors").text
        page = viewer.get("/monitors/default/watch").text
        assert "look_now" not in page
        assert "/look" not in page
        assert viewer.send_form("/monitors/default/watch/delete").status_code == 403
    with house.client("owner", "elsewhere") as stranger:
        assert stranger.get("/monitors/default/watch").status_code in (403, 404)


@pytest.mark.browser
def test_the_pages_in_chromium(house: RunningConsole, browser: Browser, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    errors: list[str] = []
    for width, scheme in ((1280, "light"), (390, "dark")):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=_scheme(scheme)
        )
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{house.url}/sign-in")
        page.fill("input[name=key]", house.admin_key)
        page.press("input[name=key]", "Enter")
        for path, name in (("/monitors", "list"), ("/monitors/default/watch", "one")):
            page.goto(house.url + path)
            page.wait_for_selector("h1")
            page.screenshot(path=str(folder / f"monitor-{name}-{width}.png"), full_page=True)
            overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(overflow) <= 0
        assert page.evaluate("window.hit") is None
        assert errors == []
        context.close()


def _scheme(name: str) -> Any:
    return name

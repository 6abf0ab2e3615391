"""Pages of live experiments: who saw what, what may be concluded, what was decided."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser
from tests.console.conftest import HOSTILE, RunningConsole, sample_record

from santral.experiments.change import create_experiment, start_experiment
from santral.tenants.operator import local_operator
from santral.traces.record import ExposureRecord, TraceRecord
from santral.traces.store import epoch_us

PLACE = "/experiments/one?tenant=default&name=tone"
SETTINGS = {
    "routes": ["ask"],
    "description": f"Shorter answers {HOSTILE}",
    "primary": ["cost_usd", "error_rate"],
    "variants": {"plain": {"weight": 1}, "new": {"weight": 1, "settings": {"temperature": 0}}},
}
CONFIG = {
    "providers": {"stub": {"kind": "local"}},
    "deployments": {"mini": {"provider": "stub", "model": "extract"}},
    "routes": {"ask": {"ladder": [{"deployments": {"mini": 1}}]}},
}


def seen(now_us: int) -> list[TraceRecord]:
    """Requests of 600 units; the new arm costs a fifth less."""
    rng, found = Random(4), []
    for number in range(1200):
        unit = f"{number // 2:016x}"
        arm = "new" if number // 2 % 2 else "plain"
        exposure = ExposureRecord(experiment="tone", variant=arm, unit=unit, propensity=0.5)
        record = sample_record(number, now_us - rng.randrange(1_800_000_000))
        found.append(
            replace(
                record,
                tenant_id="default",
                route="ask",
                cost_nanousd=int(rng.gauss(80_000 if arm == "new" else 100_000, 9_000)),
                duration_us=rng.randrange(300_000, 900_000),
                exposures=[exposure],
                experiment="tone",
                variant=arm,
            )
        )
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    folder = tmp_path_factory.mktemp("experiments")
    running = RunningConsole(folder, seen(epoch_us()), lambda _: CONFIG)
    by, now = local_operator(), datetime.now(UTC) - timedelta(hours=1)

    async def begin() -> None:
        for name in ("tone", "idle"):
            await create_experiment(
                running.engine, running.config, "default", name, SETTINGS, now, by=by
            )
        await start_experiment(running.engine, running.config, "default", "tone", now, by=by)

    try:
        running.do(begin())
        yield running
    finally:
        running.stop()


def test_the_page_says_what_may_be_concluded_in_the_readers_language(
    house: RunningConsole,
) -> None:
    with house.client() as owner:
        listed = owner.get("/experiments?lang=en").text
        english = owner.get(f"{PLACE}&lang=en").text
        turkish = owner.get(f"{PLACE}&lang=tr").text
    assert "name=tone" in listed
    assert "600 units (user) took part" in english
    assert "The sample ratio is fine." in english
    assert "cost_usd: &#39;new&#39; is better than &#39;plain&#39;, by -" in english
    assert "You may stop or go on at any time" in english
    assert "İstediğiniz an durabilir ya da sürdürebilirsiniz" in turkish
    assert "Örneklem oranı yerinde." in turkish
    assert "<script>window.hit" not in english


def test_an_experiment_is_started_widened_and_decided_on_the_page(house: RunningConsole) -> None:
    with house.client() as owner:
        given = {"tenant": "default", "name": "idle"}
        assert owner.send_form("/experiments/start", **given).status_code == 409  # it clashes
        assert owner.send_form("/experiments/decide", **given, arm="nobody").status_code == 404
        done = owner.send_form("/experiments/decide", **given, arm="new", reason="a test")
        assert done.status_code == 303
        page = owner.get("/experiments/one?tenant=default&name=idle&lang=en").text
        assert "a test" in page
        assert "decided" in page
    with house.client("viewer") as viewer:
        assert "/experiments/stop" not in viewer.get(PLACE).text
        stopped = viewer.send_form("/experiments/stop", tenant="default", name="tone")
        assert stopped.status_code == 403


@pytest.mark.browser
def test_the_pages_in_chromium(house: RunningConsole, browser: Browser, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    errors: list[str] = []
    schemes: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1280, "light"), (390, "dark"))
    for width, scheme in schemes:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{house.url}/sign-in")
        page.fill("input[name=key]", house.key())
        page.press("input[name=key]", "Enter")
        page.wait_for_url(f"{house.url}/")
        for name, path in (("experiments", "/experiments"), ("experiment", PLACE)):
            page.goto(house.url + path)
            wide: Any = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (path, width)
            page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
        context.close()
    assert errors == []

"""Scores on the page of their trace, and how many answers were rated on the overview."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.console.conftest import HOSTILE, RunningConsole
from tests.console.test_pages_in_chromium import Visit

from santral.traces.record import TraceRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import epoch_us


@pytest.fixture
def trace(console: RunningConsole, make_sample: Any) -> Iterator[TraceRecord]:
    """Return a trace that was scored by a user, a judge and behaviour."""
    record = make_sample(9001, epoch_us() - 60_000_000, "ok", tenant_id="default")
    console.put(record)
    known: dict[str, Any] = {"tenant_id": "default", "trace_id": record.trace_id}
    given: list[dict[str, Any]] = [
        {"name": "thumbs", "value": 0.0, "rater": "u-1", "comment": HOSTILE},
        {"name": "rating", "value": 2.5, "label": "late, wrong"},
        {"name": "faithfulness", "source": "judge", "value": 0.75, "evaluator_version": "v3"},
        {"name": "retry", "source": "implicit", "value": 1.0},
    ]
    scores = [
        ScoreRecord(
            **{"id": f"{n:032x}", "source": "user", "at_us": epoch_us() + n, **known, **one}
        )
        for n, one in enumerate(given)
    ]
    console.do(console.store.insert_scores(scores))
    return record


def text_of(console: RunningConsole, role: str, path: str) -> str:
    with console.client(role) as client:
        return client.get(path).text


def test_a_trace_shows_its_scores_and_words_to_who_may_read_them(
    console: RunningConsole, trace: TraceRecord
) -> None:
    page = text_of(console, "owner", f"/traces/{trace.trace_id}")
    for text in ("thumbs", "late, wrong", "judge  v3", "retry", "&lt;script&gt;window.hit"):
        assert text in page
    assert "<script>window.hit" not in page
    seen = text_of(console, "viewer", f"/traces/{trace.trace_id}")
    assert "faithfulness" in seen
    assert "window.hit" not in seen
    assert "late, wrong" in seen


def test_the_overview_says_how_many_answers_were_rated(
    console: RunningConsole, trace: TraceRecord
) -> None:
    page = text_of(console, "owner", f"/?route={trace.route}")
    assert "Rated by users" in page
    assert "Thumbs up" in page


@pytest.mark.browser
def test_scores_in_chromium(browser: Browser, console: RunningConsole, trace: TraceRecord) -> None:
    visit = Visit(browser, console, viewport={"width": 1280, "height": 900}, locale="tr-TR")
    page = visit.go(f"/traces/{trace.trace_id}")
    assert page.get_by_role("heading", name="Puanlar").is_visible()
    assert page.evaluate("window.hit") is None
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/scores.png", full_page=True)
    assert visit.is_clean()
    visit.context.close()

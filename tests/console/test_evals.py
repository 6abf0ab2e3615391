"""Pages of evaluations: what can be started and by whom, what was measured, what was lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.console.conftest import HOSTILE, RunningConsole

from santral.evals import kept
from santral.evals.answer import Answer
from santral.evals.evaluator import Measure, Score
from santral.evals.example import Example
from santral.evals.run import Run, RunHead, Sample
from santral.tenants.operator import local_operator
from santral.tenants.tenant import DEFAULT_TENANT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SUITE = """\
description = "Questions that <b>customers</b> ask."
dataset = "cases.jsonl"
[[targets]]
name = "recorded"
recorded = true
[[evaluators]]
use = "exact"
"""
EXAMPLES = {f"e{n:02}": Example(id=f"e{n:02}", input=f"What is {n}? {HOSTILE}") for n in range(30)}


def make_run(run_id: str, good: int) -> Run:
    """Return a run in which the first ``good`` answers are right and the last one failed."""
    head = RunHead(
        id=run_id,
        suite="support",
        target="recorded",
        route="docs",
        prompt="assistant@1.0.0",
        dataset="cases.jsonl",
        dataset_digest="d" * 64,
        measures=[Measure(name="exact", is_binary=True)],
        evaluators={"exact": "exact/1"},
        is_complete=True,
    )
    samples = [sample(one, number < good) for number, one in enumerate(EXAMPLES)]
    failed = Sample(
        example_id="e29",
        example_hash="h",
        repeat=0,
        answer=Answer(error="timeout", error_message=HOSTILE),
        scores=[Score(name="exact", error="no_answer")],
    )
    return Run(head=head, samples=[*samples[:-1], failed], examples=EXAMPLES)


def sample(example_id: str, is_good: bool) -> Sample:
    text = f"It is right. {HOSTILE}" if is_good else f"It is wrong. {HOSTILE}"
    scored = Score(name="exact", value=float(is_good), reason=HOSTILE)
    answer = Answer(text=text, cost_nanousd=2_000_000, trace_id="t" * 32)
    return Sample(example_id=example_id, example_hash="h", repeat=0, answer=answer, scores=[scored])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    folder = tmp_path_factory.mktemp("evals")
    _write(folder / "suites")
    running = RunningConsole(
        folder, settings=lambda _: {"evals": {"folder": str(folder / "suites")}}
    )
    for run_id, good in (("run_before", 29), ("run_after", 9)):
        _keep(running, make_run(run_id, good))
    yield running
    running.stop()


def _write(folder: Path) -> None:
    folder.mkdir()
    (folder / "support.toml").write_text(SUITE)
    (folder / "broken.toml").write_text("dataset = 3\n")
    (folder / "cases.jsonl").write_text('{"input": "a", "expected": "b", "answer": "b"}\n')


def _keep(running: RunningConsole, run: Run) -> None:
    async def work() -> None:
        by = local_operator()
        await kept.begin_run(running.engine, DEFAULT_TENANT, run.head, NOW, by=by)
        keeper = kept.RunKeeper(
            running.engine, DEFAULT_TENANT, run.head.id, run.examples, lambda: NOW
        )
        for one in run.samples:
            await keeper(one, "")
        await kept.end_run(running.engine, DEFAULT_TENANT, run, "done", 58_000_000, NOW)

    running.do(work())


@pytest.fixture
def owner(house: RunningConsole) -> Iterator[Any]:
    with house.client() as made:
        yield made


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PATHS = (
    "/evals",
    "/evals/run?id=run_after",
    "/evals/run?id=run_after&failed=yes",
    "/evals/compare?base=run_before&head=run_after",
)


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_every_page_is_strict_and_shows_content_as_text(owner: Any, lang: str) -> None:
    for path in PATHS:
        answer = owner.get(path, headers={"accept-language": lang})
        assert answer.status_code == 200, (path, answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script>window" not in answer.text
        assert "<b>customers" not in answer.text
        assert "\u202e" not in answer.text


def test_suites_and_runs_are_listed_and_a_broken_suite_says_why(owner: Any) -> None:
    text = owner.get("/evals").text

    assert " broken.toml:1: dataset: expected `str`, got `int`." in text.replace("&#39;", "'")
    assert text.count('action="/evals/start"') == 1
    assert re.findall(r"id=(run_\w+)", text) == ["run_before", "run_after"] or "run_after" in text


def test_a_run_shows_measures_with_intervals_and_errors_by_class(owner: Any) -> None:
    text = owner.get("/evals/run?id=run_after").text

    assert "0.3103" in text  # 9 of 29
    assert "no_answer</span> 1" in text
    assert "timeout</span> 1" in text
    following = re.search(r'rel="next" href="([^"]+)"', text)
    assert following is not None
    rest = owner.get(following[1].replace("&amp;", "&")).text
    assert "e29" in rest
    assert "e00" not in rest


def test_a_comparison_puts_the_greatest_losses_first_with_both_answers(owner: Any) -> None:
    text = owner.get("/evals/compare?base=run_before&head=run_after").text

    assert 'badge bad">regression' in text
    losses = text[text.index("What lost most") :]
    first = losses[losses.index("<tbody>") :]
    assert "It is right." in first
    assert "It is wrong." in first
    assert "1 → 0" in first[:2000]
    assert owner.get("/evals/compare?base=run_before&head=run_after&measure=x").status_code == 400
    assert owner.get("/evals/compare?base=run_none&head=run_after").status_code == 404


def test_who_only_looks_cannot_start_and_an_engineer_starts_a_job(house: RunningConsole) -> None:
    with house.client("viewer") as viewer:
        assert "/evals/start" not in viewer.get("/evals").text
    with house.client() as owner:
        token = re.search(r'name="form_token" value="([^"]+)"', owner.get("/evals").text)
        assert token is not None
        form = {"form_token": token[1], "tenant": "default", "suite": "support", "baseline": "last"}
        started = owner.post("/evals/start", data=form)
        assert started.status_code == 303, started.text
        assert started.headers["location"].startswith("/jobs/job_")
        unknown = owner.post("/evals/start", data={**form, "suite": "../../etc/passwd"})
        assert unknown.status_code == 404


@pytest.mark.browser
def test_pages_can_be_used_in_a_browser(
    house: RunningConsole, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{house.url}/sign-in")
    page.fill("input[name=key]", house.key())
    page.keyboard.press("Enter")
    page.wait_for_url(f"{house.url}/")
    for name, path in zip(("list", "run", "failed", "compare"), PATHS, strict=True):
        page.goto(house.url + path)
        page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)
        assert page.evaluate("window.hit") is None
        assert page.evaluate(OVERFLOW) <= 0, name
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(house.url + PATHS[3])
    assert page.evaluate(OVERFLOW) <= 0
    assert wrong == []
    page.close()

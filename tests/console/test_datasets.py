"""Pages of data sets: examples with their history, versions, and what lies between two of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.console.conftest import HOSTILE, RunningConsole
from tests.console.test_collections import acts, page

from santral.evals.datasets.change import (
    add_examples,
    change_example,
    create_dataset,
    delete_example,
)
from santral.evals.datasets.dataset import Provenance
from santral.evals.datasets.versions import commit_version
from santral.evals.example import Example
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

NAMED = "tenant=acme&name=faq"
COUNT = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    running = RunningConsole(tmp_path_factory.mktemp("datasets"))
    running.do(fill(running))
    yield running
    running.stop()


async def fill(running: RunningConsole) -> None:
    engine, by, now = running.engine, local_operator(), datetime.now(UTC)
    await create_tenant(engine, "acme", None, now, by=by)
    await create_dataset(engine, "acme", "faq", now, by=by, description=HOSTILE)
    examples = [Example(id=f"q{n:02}", input=f"Soru {n}: iade?") for n in range(COUNT)]
    examples.append(Example(id="hostile", input=HOSTILE, expected=HOSTILE, split="test"))
    made = [(one, Provenance(origin="file", source="faq.csv")) for one in examples]
    await add_examples(engine, "acme", "faq", made, now, by=by)
    await commit_version(engine, "acme", "faq", now, by=by, note_=HOSTILE)
    await change_example(engine, "acme", "faq", "q01", {"expected": "14 gün"}, now, by=by)
    await delete_example(engine, "acme", "faq", "q02", now, by=by)


@pytest.fixture
def owner(house: RunningConsole) -> Iterator[Any]:
    with house.client() as made:
        yield made


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_every_page_is_strict_and_shows_content_as_text(owner: Any, lang: str) -> None:
    for path in (
        "/datasets?tenant=acme",
        f"/datasets/one?{NAMED}",
        f"/datasets/example?{NAMED}&id=hostile",
        f"/datasets/diff?{NAMED}",
        f"/datasets/diff?{NAMED}&before=1&after=",
    ):
        answer = owner.get(path, headers={"accept-language": lang})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert f'<html lang="{lang}">' in answer.text
        assert "<script>window.hit" not in answer.text
        assert "onerror=window" not in re.sub(r"&lt;.*?&gt;", "", answer.text)
        assert " style=" not in answer.text


def test_examples_come_by_pages(owner: Any) -> None:
    first = page(owner, f"/datasets/one?{NAMED}")
    assert 'id=q48"' in first
    assert "id=q55" not in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    assert 'id=q55"' in page(owner, following[1].replace("&amp;", "&"))


def test_a_history_shows_every_revision(owner: Any) -> None:
    text = page(owner, f"/datasets/example?{NAMED}&id=q01")
    assert text.index('id="revision-2"') < text.index('id="revision-1"')
    assert "14 gün" in text


def test_what_changed_since_a_version_is_listed(owner: Any) -> None:
    text = page(owner, f"/datasets/diff?{NAMED}&before=1")
    assert re.search(r"Gone.*q02.*Changed.*q01", text, re.DOTALL)
    assert owner.get(f"/datasets/diff?{NAMED}&before=x").status_code == 400
    assert owner.get(f"/datasets/diff?{NAMED}&before=9").status_code == 404


@pytest.mark.browser
def test_a_version_is_made_in_a_browser_and_noted(browser: Browser, house: RunningConsole) -> None:
    context = browser.new_context(locale="en")
    with house.client() as client:
        context.add_cookies(
            [{"name": k, "value": v, "url": house.url} for k, v in client.cookies.items()]
        )
    view = context.new_page()
    view.goto(f"{house.url}/datasets/one?{NAMED}")
    view.get_by_label("What has changed").fill("iki düzeltme")
    view.keyboard.press("Enter")
    view.get_by_role("cell", name="iki düzeltme").wait_for(timeout=5_000)
    assert view.evaluate("window.hit") is None
    assert len(acts(house, "datasets.commit")) == 2
    context.close()

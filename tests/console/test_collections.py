"""Pages of collections: what is in them, which version is searched, what a question finds, and for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.console import library
from tests.console.conftest import HOSTILE, RunningConsole

from santral.audit import store as audit
from santral.config.schema import Config
from santral.db.engine import reading
from santral.retrieval.collections.versions import add_version
from santral.tenants.operator import local_operator

NAMED = "tenant=acme&name=docs"
POLICY = "default-src 'none'"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    running = library.start(tmp_path_factory.mktemp("library"))
    yield running
    running.stop()


@pytest.fixture
def owner(house: RunningConsole) -> Iterator[Any]:
    with house.client() as made:
        yield made


def page(client: Any, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def document_ids(text: str) -> list[str]:
    return re.findall(r"/collections/document\?tenant=acme&amp;name=docs&amp;id=(\w+)", text)


def acts(house: RunningConsole, action: str) -> list[Any]:
    async def read() -> list[Any]:
        async with reading(house.engine) as conn:
            return [row for row in await audit.entries_after(conn, 0, 1000) if row.action == action]

    return house.do(read())


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_every_page_is_strict_and_shows_content_as_text(owner: Any, lang: str) -> None:
    first = document_ids(page(owner, f"/collections/one?{NAMED}"))[0]
    for path in (
        "/collections?tenant=acme",
        f"/collections/one?{NAMED}",
        f"/collections/one?{NAMED}&status=quarantined&source=b",
        f"/collections/document?{NAMED}&id={first}",
        f"/collections/search?{NAMED}",
        f"/collections/search?{NAMED}&q=hostile+page&a_bm25=1&b_dense=0.5",
    ):
        answer = owner.get(path, headers={"accept-language": lang})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-security-policy"].startswith(POLICY)
        assert answer.headers["cache-control"] == "no-store"
        assert f'<html lang="{lang}">' in answer.text
        assert "<script>window.hit" not in answer.text
        assert "onerror=window" not in re.sub(r"&lt;.*?&gt;", "", answer.text)
        assert " style=" not in answer.text


def test_the_list_counts_what_is_there(owner: Any) -> None:
    text = page(owner, "/collections?tenant=acme")
    cells = dict(re.findall(r'data-label="(\w+)" class="n">([^<]*)<', text))
    assert cells["Documents"] == "6"
    assert cells["Quarantined"] == "1"
    assert "up to date" in text
    assert "lsa" in text


def test_a_quarantined_document_says_why(owner: Any) -> None:
    text = page(owner, f"/collections/one?{NAMED}&status=quarantined")
    assert "broken.pdf" in text
    assert "leave.md" not in text
    (id_,) = document_ids(text)
    shown = page(owner, f"/collections/document?{NAMED}&id={id_}")
    assert 'class="warning"' in shown
    assert "No passage of it is searched." in shown


def test_a_document_shows_its_passages_with_their_places(owner: Any) -> None:
    text = page(owner, f"/collections/one?{NAMED}&source=")
    found = [page(owner, f"/collections/document?{NAMED}&id={id_}") for id_ in document_ids(text)]
    leave = next(one for one in found if "Annual leave is 20 days" in one)
    assert "Section: Leave" in leave
    assert re.search(r"Characters \d+–\d+", leave)
    secret = next(one for one in found if "Salaries are reviewed" in one)
    assert "<dd>hr</dd>" in secret


def test_two_ways_to_ask_stand_beside_each_other(house: RunningConsole, owner: Any) -> None:
    before = len(acts(house, "collections.search"))
    query = "q=how+many+days+of+annual+leave&a_bm25=1&b_ngrams=1&b_dense=0.5&b_diversity=0.3"
    text = page(owner, f"/collections/search?{NAMED}&{query}")
    left, right = re.findall(r'<section class="card" aria-label.*?</section>', text, re.DOTALL)
    for side in (left, right):
        assert "leave.md" in side
        assert "Support" in side
        assert re.search(r"Score \d\.\d{3} · Words \d\.\d\d \(\d+\.\d\d\)", side)
    rows = acts(house, "collections.search")[before:]
    assert len(rows) == 2
    assert "documents" in str(rows[0].after)
    assert "annual" not in str(rows)


def test_who_looks_as_a_member_sees_what_a_member_sees(owner: Any) -> None:
    asked = f"/collections/search?{NAMED}&q=when+are+salaries+reviewed"
    assert "Salaries are reviewed in March" in page(owner, asked)
    assert "Salaries are reviewed in March" in page(owner, f"{asked}&groups=hr")
    hidden = page(owner, f"{asked}&groups=finance,hr2")
    assert "Salaries" not in hidden
    assert "secret.md" not in hidden


@pytest.mark.parametrize("wrong", ["a_bm25=much", "b_dense=7", "a_rerank=best", "b_diversity=2"])
def test_a_setting_that_means_nothing_is_named_on_the_page(owner: Any, wrong: str) -> None:
    answer = owner.get(f"/collections/search?{NAMED}&q=leave&{wrong}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert wrong.partition("=")[2] in answer.text


def test_a_version_is_switched_and_rolled_back(house: RunningConsole, owner: Any) -> None:
    config: Config = house.config
    house.do(
        add_version(
            house.engine, config, "acme", "docs", {"chunking": "whole"},
            library.now(), by=local_operator(),
        )
    )  # fmt: skip
    refused = owner.send_form("/collections/switch", tenant="acme", name="docs", version="2")
    assert refused.status_code == 409
    assert "not complete" in refused.text
    house.do(library.update(house))
    text = page(owner, f"/collections/one?{NAMED}")
    assert 'name="version" value="2"' in text
    moved = owner.send_form("/collections/switch", tenant="acme", name="docs", version="2")
    assert moved.status_code == 303
    assert 'name="version" value="1"' in page(owner, f"/collections/one?{NAMED}")
    back = owner.send_form("/collections/switch", tenant="acme", name="docs")
    assert back.status_code == 303
    assert 'name="version" value="2"' in page(owner, f"/collections/one?{NAMED}")
    assert len(acts(house, "collections.switch")) == 2


def test_other_tenants_and_roles_see_nothing(house: RunningConsole) -> None:
    with house.client("admin", "default") as stranger:
        for path in ("one", "document", "search"):
            answer = stranger.get(f"/collections/{path}?{NAMED}&id=x&q=leave")
            assert answer.status_code == 404
            assert "leave.md" not in answer.text
        assert "name=docs" not in page(stranger, "/collections")
        moved = stranger.send_form("/collections/switch", tenant="acme", name="docs", version="1")
        assert moved.status_code == 404
    with house.client("viewer") as viewer:
        assert viewer.get(f"/collections/one?{NAMED}").status_code == 403
        assert "/collections" not in viewer.get("/tenants").text


@pytest.mark.browser
def test_a_question_is_asked_in_a_browser_without_scripts(
    browser: Browser, house: RunningConsole
) -> None:
    context = browser.new_context(java_script_enabled=False)
    made = context.new_page()
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text))
    made.goto(house.url + "/sign-in")
    made.fill("#key", house.key())
    made.press("#key", "Enter")
    made.goto(house.url + "/collections?tenant=acme")
    made.get_by_role("link", name="docs").first.click()
    made.get_by_role("link", name="Search").click()
    made.get_by_label("Question").fill("hostile page")
    made.get_by_label("Pieces of words").last.fill("1")
    made.get_by_role("button", name="Search").click()
    found = made.locator("section[aria-label='Settings B'] ol.found li").first
    assert HOSTILE.partition("{{")[0] in found.inner_text()
    assert made.locator("main img").count() == 0
    found.get_by_role("link").first.click()
    assert "#chunk-" in made.url
    assert complaints == []
    context.close()

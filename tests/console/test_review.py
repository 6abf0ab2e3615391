"""Pages of review: rating without a mouse, deciding as a third person, and what it all came to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.console.conftest import HOSTILE, RunningConsole, sample_record
from tests.console.test_pages_in_chromium import CONTRAST
from tests.review.test_held import held

from santral.config.feedback import HeldConfig
from santral.db.engine import Engine, reading, writing
from santral.gateway.held.cabinet import HeldCabinet
from santral.review import store
from santral.review.change import create_queue
from santral.review.held import collect_held
from santral.review.item import Content, Item, Said, Shown, Task
from santral.tenants.operator import local_operator

pytestmark = pytest.mark.browser
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LABELS = [
    {"name": "correct", "help": "Does the handbook say so?"},
    {"name": "tone", "kind": "scale", "help": "1 is rude, 5 is kind."},
    {"name": "remark", "kind": "text", "is_required": False},
]
RATE = "/review/rate?tenant=default&name=daily"


async def fill(engine: Engine) -> None:
    for name, mode, labels in (
        ("daily", "single", LABELS),
        ("pairs", "pairwise", [{"name": "better", "kind": "preference"}]),
    ):
        await create_queue(
            engine, "default", name,
            {"labels": labels, "mode": mode, "description": "Answers of support", "skips": 9,
             "rules": [{"kind": "random", "probability": 0.1}]},
            NOW, by=local_operator(), rng=Random(1).randbytes,
        )  # fmt: skip
    async with writing(engine) as conn:
        for number in range(12):
            await store.insert_item(conn, "default", made("daily", number))
        await store.insert_item(conn, "default", made("pairs", 0, "a better one", "another one"))
        for number in range(20, 30):
            state = "disputed" if number == 20 else "done"
            one = made("daily", number, state=state, outcome={"correct": 1, "tone": 4})
            await store.insert_item(conn, "default", one)
            for slot, rater in enumerate(("user:ada", "user:bob"), 1):
                said = slot - 1 if number == 20 else number % 2
                task = Task(
                    item_id=one.id, slot=slot, tenant_id="default", rater=rater, state="done",
                    labels={"correct": said, "tone": 4}, seconds=9.0, submitted_at=NOW,
                    comment="see page 2",
                )  # fmt: skip
                await store.insert_task(conn, "default", task)


def made(queue: str, number: int, *answers: str, **fields: Any) -> Item:
    shown = Shown(
        said=[
            Said("system", "Answer from the handbook."),
            Said("user", f"Question {number}? {HOSTILE}"),
        ],
        answers=list(answers) or [f"Bring a card, says {HOSTILE}"],
        passages=["handbook/permits.md"],
    )
    known: dict[str, Any] = {
        "trace_id": f"{number:032x}", "subject": "", "rule": "random", "probability": 0.1,
        "gold": None, "held_id": "", "state": "open", "outcome": None, "priority": -number,
        "created_by": "rules", "created_at": NOW, **fields,
    }  # fmt: skip
    return Item(
        id=f"rvw_{queue}_{number:02}", tenant_id="default", queue=queue, key=str(number),
        kind="pair" if len(answers) > 1 else "trace", content=Content(shown=shown), **known,
    )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    running = RunningConsole(
        tmp_path_factory.mktemp("review"),
        [sample_record(1, now_us - 10**6, "ok", tenant_id="default")],
    )
    running.do(fill(running.engine))
    yield running
    running.stop()


class Reader:
    """Somebody at a page, with every complaint of the browser."""

    def __init__(
        self, browser: Browser, house: RunningConsole, role: str = "reviewer", **options: Any
    ) -> None:
        self.url, self.complaints = house.url, list[str]()
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self._asked(r.url))
        self.page.goto(self.url + "/sign-in")
        self.page.fill("#key", house.key(role))
        self.page.press("#key", "Enter")
        self.page.wait_for_url(self.url + "/")

    def _asked(self, address: str) -> None:
        if not address.startswith(self.url + "/"):
            self.complaints.append(address)

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def see(self, name: str) -> None:
        """Keep a picture where somebody wants to look at it."""
        if folder := os.environ.get("PICTURES"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def tasks(house: RunningConsole, item_id: str) -> list[Task]:
    async def read() -> list[Task]:
        async with reading(house.engine) as conn:
            return await store.tasks_of(conn, "default", item_id)

    return house.do(read())


def test_one_rates_with_the_keyboard_alone(browser: Browser, house: RunningConsole) -> None:
    reader = Reader(browser, house, viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = reader.go("/review?tenant=default")
    page.get_by_role("link", name="Rate").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/rate?**")
    first = page.locator("#rate input[name=item]").input_value()
    reader.see("rate")
    page.keyboard.press("1")
    assert "correct: Yes" in (page.locator("#said").text_content() or "")
    page.keyboard.press("4")
    assert page.evaluate("document.activeElement.id") == "keep", "all that is asked is answered"
    page.keyboard.press("?")
    assert page.locator("#keys").get_attribute("open") is not None
    page.keyboard.press("g")
    assert page.get_by_text("1 is rude, 5 is kind.").is_visible()
    page.keyboard.press("n")
    page.wait_for_url("**done=done_rated**")
    second = page.locator("#rate input[name=item]").input_value()
    assert second != first
    (task,) = tasks(house, first)
    assert task.labels == {"correct": 1, "tone": 4}
    assert task.seconds > 0
    page.keyboard.press("s")
    page.keyboard.type("not my field 12n")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=done_given_back**")
    (task,) = tasks(house, second)
    assert (task.state, task.comment) == ("skipped", "not my field 12n")
    assert reader.complaints == []
    reader.context.close()


def test_an_unanswered_label_is_said_and_hostile_text_is_text(
    browser: Browser, house: RunningConsole
) -> None:
    reader = Reader(browser, house)
    page = reader.go(RATE)
    assert page.evaluate("window.hit") is None
    assert page.locator(".message.answer script, .message.answer img").count() == 0
    page.keyboard.press("n")
    assert page.evaluate("document.querySelector('#rate :invalid') !== null")
    assert "rate" in page.url
    assert reader.complaints == []
    reader.context.close()


def test_it_works_without_scripts_and_two_answers_have_no_names(
    browser: Browser, house: RunningConsole
) -> None:
    reader = Reader(browser, house, java_script_enabled=False, locale="en-GB")
    page = reader.go("/review/rate?tenant=default&name=pairs")
    assert page.get_by_text("First answer").is_visible()
    reader.see("pair")
    page.get_by_text("The second", exact=True).click()
    page.get_by_role("button", name="Keep and go on").click()
    page.wait_for_url("**done=done_rated**")
    assert page.get_by_text("Nothing waits for you").is_visible()
    (task,) = tasks(house, "rvw_pairs_00")
    assert task.shown is not None
    assert task.labels == {"better": "ab"[task.shown[1]]}
    reader.context.close()


@pytest.mark.parametrize(("scheme", "lang"), [("light", "en"), ("dark", "tr")])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_their_screen_and_can_be_read(
    browser: Browser, house: RunningConsole, scheme: Any, lang: str, width: int
) -> None:
    reader = Reader(
        browser, house, "owner", viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    one = "tenant=default&name=daily"
    trace = reader.go("/traces").locator("table.traces a.id").first.get_attribute("href") or ""
    for path in ("/review?tenant=default", RATE, f"/review/adjudicate?{one}",
                 f"/review/report?{one}", f"/review/send?tenant=default&trace={trace[8:]}"):  # fmt: skip
        page = reader.go(f"{path}&lang={lang}")
        assert page.locator(".alert").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(CONTRAST) == [], path
        reader.see(f"{path.partition('?')[0][1:].replace('/', '-')}-{width}-{lang}")
    assert reader.complaints == []
    reader.context.close()


def test_a_third_person_decides_and_a_trace_is_sent(
    browser: Browser, house: RunningConsole
) -> None:
    reader = Reader(browser, house, "owner", locale="en-GB")
    page = reader.go("/review/adjudicate?tenant=default&name=daily")
    assert page.get_by_text("Rater 2").is_visible()
    page.keyboard.press("2")
    page.keyboard.press("5")
    page.keyboard.press("n")
    page.wait_for_url("**done=done_decided**")
    assert page.get_by_text("Raters disagree on nothing").is_visible()
    adjudicated = tasks(house, "rvw_daily_20")[0]
    assert (adjudicated.slot, adjudicated.labels) == (0, {"correct": 0, "tone": 5})
    reader.go("/traces").locator("table.traces a.id").first.click()
    page.get_by_role("link", name="Send to review").click()
    page.get_by_label("What raters are told of it").fill("odd")
    page.get_by_role("button", name="Send to review").click()
    page.wait_for_url("**done=done_sent**")
    reader.context.close()


def test_what_raters_said_is_shown_of_items_that_wait_for_a_decision_alone(
    house: RunningConsole,
) -> None:
    with house.client("owner") as client:
        for item in ("rvw_daily_00", "rvw_daily_21"):  # open: its other raters rate blind; closed
            page = client.get(f"/review/adjudicate?tenant=default&name=daily&item={item}")
            assert page.status_code == 200
            assert f'value="{item}"' not in page.text


def test_who_may_not_is_told(house: RunningConsole) -> None:
    with house.client("reviewer") as client:
        refused = client.get("/review/report?tenant=default&name=daily")
        assert refused.status_code == 403
        assert "review.write" in refused.text
        lost = client.send_form(
            "/review/rate",
            tenant="default",
            name="daily",
            item="rvw_daily_21",
            **{"label.correct": "1"},
        )
        assert lost.status_code == 409
        assert "not yours any more" in lost.text
    with house.client("viewer") as client:
        assert client.get(RATE).status_code == 403


def test_an_answer_that_waits_is_decided_with_the_keyboard(
    browser: Browser, tmp_path: Path
) -> None:
    house = RunningConsole(tmp_path, settings=lambda _: {"data": {"folder": str(tmp_path)}})
    cabinet = HeldCabinet(tmp_path / "objects", time.time)

    async def hold() -> None:
        await create_queue(
            house.engine, "default", "urgent",
            {"labels": [{"name": "correct"}], "rules": [{"kind": "held"}]},
            NOW, by=local_operator(), rng=Random(1).randbytes,
        )  # fmt: skip
        await cabinet.put(
            held(1, tenant_id="default", expires_at=time.time() + 600, held_at=time.time()),
            HeldConfig(),
        )
        assert await collect_held(house.engine, None, cabinet, datetime.now(UTC)) == 1

    house.do(hold())
    reader = Reader(browser, house, locale="en-GB", viewport={"width": 1280, "height": 900})
    page = reader.go("/review/rate?tenant=default&name=urgent")
    assert page.get_by_text("A caller waits for this answer").is_visible()
    reader.see("held")
    page.keyboard.press("2")
    page.keyboard.press("n")
    page.wait_for_load_state()
    assert "Write the answer" in (page.locator(".alert").text_content() or "")
    page.get_by_role("textbox", name="Instead").fill("Somebody.")
    page.get_by_role("button", name="Keep and go on").click()
    page.wait_for_url("**done=done_rated**")
    found = house.do(cabinet.decision("default", held(1).id))
    assert found is not None
    assert (found.status, found.replacement) == ("replaced", "Somebody.")
    assert reader.complaints == []
    reader.context.close()
    house.stop()

"""The console in a real browser: what people see, and what must never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from santral.traces.record import Payload, SpanRecord
from santral.traces.store import epoch_us

HOSTILE = "<script>window.hit=1</script><img src=//evil.test/x onerror=window.hit=2><b>bold</b>"

pytestmark = pytest.mark.browser


class Visit:
    """A signed-in page that notes every complaint of the browser and every address it asked."""

    def __init__(self, browser: Browser, console: Any, key: str = "", **options: Any) -> None:
        url = self.url = console.url
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda m: self._note(m.type, m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self._asked(r.url))
        self.page.goto(url + "/sign-in")
        self.page.fill("#key", key or console.admin_key)
        self.page.press("#key", "Enter")
        self.page.wait_for_selector(".segments")

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _asked(self, address: str) -> None:
        if not address.startswith(self.url + "/"):
            self.foreign.append(address)

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def is_clean(self) -> bool:
        assert self.complaints == []
        assert self.foreign == []
        return True


@pytest.fixture
def visit(browser: Browser, console: Any) -> Iterator[Visit]:
    made = Visit(browser, console, viewport={"width": 1280, "height": 900}, locale="en-GB")
    yield made
    made.context.close()


def test_one_reads_from_the_overview_down_to_a_citation(visit: Visit) -> None:
    page = visit.go("/")
    assert page.locator(".signals .card h2").all_inner_texts() == [
        "Latency",
        "Cost",
        "Quality",
        "Safety",
    ]
    page.get_by_role("link", name="All traces").click()
    page.select_option("select[name=status]", "ok")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/traces?*status=ok*")
    miss = page.locator("tr", has=page.locator("td[data-label=Cache]", has_text="miss")).first
    miss.locator("a.id").click()
    page.wait_for_url("**/traces/*")
    assert page.locator(".waterfall tbody tr").count() >= 7
    page.locator("a.cite").first.click()
    assert page.url.endswith("#source-1")
    assert page.locator("#source-1").inner_text().startswith("[1]")
    assert visit.is_clean()


def test_the_list_is_walked_with_keys(visit: Visit) -> None:
    page = visit.go("/traces")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    first = page.locator("table.traces a.id").first
    assert first.evaluate("e => e === document.activeElement")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "route"
    first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces/*")
    assert visit.is_clean()


def test_tab_reaches_the_content_first(visit: Visit) -> None:
    page = visit.go("/traces")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_hostile_content_is_text(visit: Visit, console: Any, make_sample: Any) -> None:
    record = make_sample(
        6,
        epoch_us(),
        "ok",
        trace_id="d" * 32,
        route=HOSTILE,
        spans=[SpanRecord(id="a", name=HOSTILE, start_us=0, duration_us=5)],
        payload=Payload(
            request='[{"role": "user", "content": "</div><b>x</b>"}]', response=HOSTILE
        ),
    )
    console.put(record)
    for path in ("/", "/traces", f"/traces/{record.trace_id}"):
        page = visit.go(path)
        assert page.evaluate("window.hit") is None
        assert page.locator("main b").count() == 0
    assert HOSTILE in page.locator(".message.answer").inner_text()
    assert visit.is_clean()


def test_a_live_list_takes_up_new_traces(visit: Visit, console: Any, make_sample: Any) -> None:
    page = visit.page
    page.clock.install()
    visit.go("/traces")
    console.put(make_sample(9, epoch_us(), trace_id="9" * 32))
    page.clock.run_for(5_100)
    page.wait_for_selector(f'a.id[href="/traces/{"9" * 32}"]')
    assert visit.is_clean()


def test_a_key_is_issued_with_a_keyboard_and_shown_once(visit: Visit) -> None:
    page = visit.go("/keys")
    page.get_by_label("Name").fill("by keyboard")
    page.keyboard.press("Enter")
    page.wait_for_selector("#new-key")
    text = page.locator("#new-key").inner_text()
    assert text.startswith("sk-santral-")
    page.get_by_role("link", name="I have kept it").click()
    assert text not in page.content()
    assert page.get_by_role("link", name="by keyboard").is_visible()
    assert visit.is_clean()


def test_a_choice_shows_its_page_at_once(visit: Visit) -> None:
    page = visit.go("/tenants")
    page.get_by_label("Id (never changes)").fill("chosen")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/tenants/chosen*")
    assert page.get_by_role("status").inner_text() == "Created."
    visit.go("/limits").get_by_label("Tenant").first.select_option("chosen")
    page.wait_for_url("**/limits?tenant=chosen")
    assert visit.is_clean()


def test_pages_work_without_scripts(browser: Browser, console: Any) -> None:
    visit = Visit(browser, console, java_script_enabled=False)
    page = visit.go("/tenants")
    page.get_by_label("Id (never changes)").fill("plain")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="Delete …").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/tenants?done=done_deleted")
    assert not page.get_by_role("link", name="plain").count()
    visit.go("/keys").get_by_label("Tenant").first.select_option("default")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/keys?tenant=default")
    visit.context.close()


@pytest.mark.parametrize(("scheme", "lang"), [("light", "en"), ("dark", "tr")])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_their_screen_and_can_be_read(
    browser: Browser, console: Any, scheme: Any, lang: str, width: int
) -> None:
    visit = Visit(browser, console, viewport={"width": width, "height": 844}, color_scheme=scheme)
    trace = visit.go("/traces").locator("table.traces a.id").first.get_attribute("href")
    administration = ("/tenants", "/tenants/default", "/tenants/default/delete", "/keys", "/users",
                      "/limits", "/ledger", "/audit", "/audit/1", "/jobs")  # fmt: skip
    for path in ("/", "/traces", trace or "", "/traces?route=nothing", *administration):
        page = visit.go(f"{path}{'&' if '?' in path else '?'}lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(CONTRAST) == [], path
    assert visit.is_clean()
    visit.context.close()


#: Text whose contrast with what lies behind it is below 4.5:1 (WCAG 2.2, 1.4.3), large text 3:1.
CONTRAST = """() => {
  const channels = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = channels(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest("svg") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(channels(style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const isLarge = parseFloat(style.fontSize) >= 24;
    if (ratio < (isLarge ? 3 : 4.5)) bad.push(`${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""

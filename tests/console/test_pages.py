from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from santral.console.render import POLICY
from santral.tenants.issue import revoke_key
from santral.tenants.operator import local_operator
from santral.traces.record import Payload, SourceRecord, SpanRecord, VerdictRecord
from santral.traces.store import epoch_us

HOSTILE = "<script>window.hit=1</script><img src=//evil.test/x onerror=window.hit=2>{{7*7}}\u202e"


class Outline(HTMLParser):
    """Notes what a page loads and whether anything in it could run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not found.get("src")):
            self.inline.append(tag)
        if tag in ("script", "img", "link", "iframe", "object", "embed"):
            self.loads.append(found.get("src") or found.get("href") or "")
        if found.get("id"):
            self.ids.append(found["id"] or "")


@pytest.fixture
def client(console: Any) -> Iterator[httpx.Client]:
    with console.client() as made:
        yield made


@pytest.fixture
def stranger(console: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console.url) as made:
        yield made


def some_trace(client: httpx.Client, query: str = "") -> str:
    found = re.search(r'href="(/traces/[0-9a-f]{32})"', client.get(f"/traces{query}").text)
    assert found is not None
    return found[1]


PAGES = (
    "/",
    "/?window=1h",
    "/traces",
    "/traces?status=error",
    "/traces?route=none",
    "/sign-in",
    "/traces/ffff",
    "/api/docs",
)


@pytest.mark.parametrize("path", [*PAGES, "trace"])
@pytest.mark.parametrize("lang", ["en", "tr"])
def test_every_page_is_strict_and_loads_only_our_own_files(
    client: httpx.Client, path: str, lang: str
) -> None:
    answer = client.get(
        some_trace(client) if path == "trace" else path,
        params={"lang": lang} if path == "trace" else None,
        headers={"accept-language": lang},
    )
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    outline = Outline(answer.text)
    assert outline.inline == []
    assert outline.loads
    assert all(address.startswith("/static/") for address in outline.loads)
    assert len(outline.ids) == len(set(outline.ids))
    assert f'<html lang="{lang}">' in answer.text


def test_static_files_are_kept_for_ever_under_their_own_address(client: httpx.Client) -> None:
    for address in Outline(client.get("/").text).loads:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/nothing.css").status_code == 404
    assert client.get("/static/..%2fpages.py").status_code == 404


@pytest.mark.parametrize("path", ["/", "/traces", "/traces/ab", "/traces?route=a&status=ok"])
def test_a_stranger_is_sent_to_the_door_and_back(
    console: Any, stranger: httpx.Client, path: str
) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 303
    door = stranger.get(answer.headers["location"])
    wanted = re.search(r'name="next" value="([^"]*)"', door.text)
    assert wanted is not None
    entered = stranger.post(
        "/sign-in", data={"key": console.admin_key, "next": wanted[1].replace("&amp;", "&")}
    )
    assert (entered.status_code, entered.headers["location"]) == (303, path)
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert console.admin_key not in cookie
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", "/a\nb", ""],
)
def test_the_door_leads_nowhere_else(console: Any, stranger: httpx.Client, wanted: str) -> None:
    answer = stranger.post("/sign-in", data={"key": console.admin_key, "next": wanted})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("key", "status", "says"),
    [
        ("sk-santral-wrong", 401, "mistyped"),
        ("app", 403, "administers nothing"),
        ("", 401, "no API key"),
        ("x" * 5000, 401, "not a key of Santral"),
    ],
)
def test_a_wrong_key_is_told_why_and_not_shown_again(
    console: Any, stranger: httpx.Client, key: str, status: int, says: str
) -> None:
    key = console.app_key if key == "app" else key
    answer = stranger.post("/sign-in", data={"key": key})
    assert answer.status_code == status
    assert says in answer.text
    assert not key or key not in answer.text
    assert "set-cookie" not in answer.headers


def test_another_site_cannot_sign_anybody_in(console: Any, stranger: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert (
        stranger.post("/sign-in", data={"key": console.admin_key}, headers=headers).status_code
        == 403
    )


def test_leaving_and_revoking_close_the_door(console: Any) -> None:
    with console.client() as client:
        cookie = client.cookies["santral_session"]
        client.send_form("/sign-out")
        assert client.get("/", headers={"cookie": f"santral_session={cookie}"}).status_code == 303
    key = console.key("admin")
    with httpx.Client(base_url=console.url) as client:
        client.post("/sign-in", data={"key": key})
        assert client.get("/").status_code == 200
        console.do(revoke_key(console.engine, key[:17], datetime.now(UTC), by=local_operator()))
        assert client.get("/").status_code == 303


def test_the_overview_shows_the_four_signals_each_with_its_number(client: httpx.Client) -> None:
    text = client.get("/").text
    for word in ("Latency", "Cost", "Quality", "Safety", "refused by a guardrail", "p95"):
        assert word in text
    assert re.search(r"succeeded, of 2\d\d", text)
    assert "By route" in text
    assert "support" in text


def test_an_empty_installation_teaches_the_first_step(empty_console: Any) -> None:
    with empty_console.client() as client:
        text = client.get("/").text
        assert "santral keys create" in text
        assert "curl http://127.0.0.1:8080/v1/chat/completions" in text
        assert "No trace matches" in client.get("/traces").text


def test_pages_of_the_list_follow_one_another_with_their_filter(client: httpx.Client) -> None:
    seen: list[str] = []
    path: str | None = "/traces?window=24h&route=support"
    while path:
        text = client.get(path).text
        found = re.findall(r'class="id" href="/traces/([0-9a-f]{32})"', text)
        assert found
        seen += found
        link = re.search(r'rel="next" href="([^"]+)"', text)
        path = link[1].replace("&amp;", "&") if link else None
    assert len(seen) == len(set(seen)) >= 143


def test_a_trace_is_found_by_its_first_digits(client: httpx.Client) -> None:
    path = some_trace(client)
    answer = client.get("/traces", params={"id": path.removeprefix("/traces/")[:9]})
    assert answer.status_code == 303
    assert client.get(answer.headers["location"]).status_code == 200


def test_one_trace_shows_all_that_belongs_to_it(
    console: Any, client: httpx.Client, make_sample: Any
) -> None:
    record = make_sample(6, epoch_us() - 10**6, "ok", trace_id="6" * 32)
    console.put(record)
    text = client.get(f"/traces/{record.trace_id}").text
    for part in (
        record.trace_id, "validate_output", "gpt-main", "handbook/returns.md", "cited", "[EMAIL_1]",
        'href="#source-1"', "Guardrail verdicts", "pii", "support-answer@", "2026-11-01", "key_7Qk2",
    ):  # fmt: skip
        assert part in text, part
    assert 'href="#source-9"' not in text


def hostile_record(make_sample: Any) -> Any:
    return make_sample(
        6,
        epoch_us() - 10**6,
        "ok",
        trace_id="e" * 32,
        route=HOSTILE,
        requested_model=HOSTILE,
        error=HOSTILE,
        status=500,
        model=HOSTILE,
        session=HOSTILE,
        tags={HOSTILE: HOSTILE},
        finish_reason=HOSTILE,
        spans=[SpanRecord(id="a", parent_id="a", name=HOSTILE, start_us=-9, duration_us=10**16, error=HOSTILE, attributes={HOSTILE: HOSTILE})],
        verdicts=[VerdictRecord(check=HOSTILE, place=HOSTILE, verdict=HOSTILE, action=HOSTILE, reason=HOSTILE)],
        sources=[SourceRecord(number=1, chunk_id="c", document=HOSTILE, section=HOSTILE, is_cited=True)],
        payload=Payload(request=f'[{{"role": "{"x" * 50}", "content": [{{"text": 1}}]}}, 5, null]', response=HOSTILE + " [1]"),
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/traces/" + "e" * 32, "/traces", "/"])
def test_content_is_text_and_nothing_else(
    console: Any, client: httpx.Client, make_sample: Any, path: str
) -> None:
    console.put(hostile_record(make_sample))
    answer = client.get(path)
    assert answer.status_code == 200
    outline = Outline(answer.text)
    assert outline.inline == []
    assert not any("evil" in address for address in outline.loads)
    assert "<script>window" not in answer.text
    assert "&lt;script&gt;window" in answer.text
    assert "{{7*7}}" in answer.text
    assert not re.search(">[^<]*\u202e", answer.text), "nothing turns the direction of what is read"


@pytest.mark.parametrize("payload", ["[" * 100_000, "not json [cut: 9 bytes]", "{}", "[[[]]]", ""])
def test_a_payload_that_was_cut_is_shown_as_it_is(
    console: Any, client: httpx.Client, make_sample: Any, payload: str
) -> None:
    number = len(payload) + 1000
    console.put(make_sample(number, epoch_us(), payload=Payload(request=payload, response="x")))
    path = f"/traces/req_{number:06x}"
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/traces/ffff", 404, "No trace"),
        ("/traces?status=nonsense", 400, "Use ok, error"),
        ("/traces?before=1", 400, "no cursor"),
        ("/traces/" + "%3Cscript%3E", 404, "&lt;script&gt;"),
    ],
)
def test_an_error_is_a_page_that_says_what_to_do(
    client: httpx.Client, path: str, status: int, says: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert says in answer.text


def test_the_language_once_chosen_is_kept(client: httpx.Client) -> None:
    assert "Genel bakış" in client.get("/?lang=tr", headers={"accept-language": "en"}).text
    assert "Genel bakış" in client.get("/", headers={"accept-language": "en"}).text
    assert "Overview" in client.get("/?lang=en").text

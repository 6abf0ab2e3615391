"""Single sign-on in a real browser, through a real OpenID provider, and what must not work."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page
from tests.console.conftest import RunningConsole
from tests.oidc_provider import CLIENT_ID, OpenIdProvider

from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.users.change import list_users, switch_user

ROOT = local_operator()


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def console(
    provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    """Return a console whose people sign in with ``provider``."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TEST_SSO_SECRET", "s3cret of the client")

    def settings(url: str) -> dict[str, Any]:
        provider.redirect_uris.append(f"{url}/sign-in/return")
        return {
            "sso": {
                "issuer": provider.issuer,
                "client_id": CLIENT_ID,
                "client_secret": "env:TEST_SSO_SECRET",
                "name": "Example ID",
                "email_domains": ["example.com"],
                "newcomers": {"role": "viewer"},
                "roles": [{"group": "acme-admins", "role": "admin", "tenant": "acme"}],
                "api_audiences": ["santral-api"],
                "timeout_s": 2,
            }
        }

    running = RunningConsole(tmp_path_factory.mktemp("sso"), settings=settings)
    running.do(create_tenant(running.engine, "acme", None, datetime.now(UTC), by=ROOT))
    yield running
    running.stop()
    patch.undo()


@pytest.fixture(autouse=True)
def _good(provider: OpenIdProvider) -> Iterator[None]:
    provider.people.clear()
    provider.add("u-1", "ada@example.com", "acme-admins")
    yield
    provider.mend()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB")
    made = context.new_page()
    made.set_default_timeout(10_000)
    yield made
    context.close()


def sign_in(page: Page, console: RunningConsole, subject: str = "u-1", wanted: str = "/") -> None:
    page.goto(console.url + wanted)
    page.get_by_role("link", name="Sign in with Example ID").click()
    page.fill("#subject", subject)
    page.get_by_role("button", name="Allow").click()


def user_id(console: RunningConsole, email: str) -> str:
    found = console.do(list_users(console.engine, by=ROOT))
    return next(user.id for user in found if user.email == email)


@pytest.mark.browser
def test_a_person_signs_in_with_the_roles_of_their_groups_and_out(
    page: Page, console: RunningConsole
) -> None:
    complaints: list[str] = []
    page.on(
        "console",
        lambda m: complaints.append(m.text) if m.location["url"].startswith(console.url) else None,
    )
    sign_in(page, console, wanted="/keys?tenant=acme")
    page.wait_for_url("**/keys?tenant=acme")
    assert page.get_by_role("heading", name="Keys").first.is_visible()
    [cookie] = [c for c in page.context.cookies() if c.get("name") == "santral_session"]
    assert cookie.get("httpOnly")
    assert cookie.get("sameSite") == "Lax"
    assert not [c for c in page.context.cookies() if c.get("name") == "santral_sign_in"]
    page.fill("input[name=name]", "made by ada")
    page.get_by_role("button", name="Issue").click()
    assert page.locator("#new-key").inner_text().startswith("sk-santral-")
    page.goto(console.url + "/audit?action=keys.create&tenant=acme")
    assert user_id(console, "ada@example.com") in page.locator("main table").inner_text()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto(console.url + "/keys")
    assert "/sign-in" in page.url
    assert complaints == []


@pytest.mark.browser
def test_who_is_switched_off_is_out_within_two_seconds_and_cannot_come_back(
    page: Page, console: RunningConsole, provider: OpenIdProvider
) -> None:
    provider.add("u-9", "bob@example.com")
    sign_in(page, console, "u-9", "/tenants")
    page.wait_for_url("**/tenants")
    who = user_id(console, "bob@example.com")
    console.do(switch_user(console.engine, who, False, datetime.now(UTC), by=ROOT))
    began = time.monotonic()
    page.goto(console.url + "/tenants")
    assert "/sign-in" in page.url
    assert time.monotonic() - began < 2
    sign_in(page, console, "u-9")
    page.wait_for_selector("[role=alert]")
    assert "switched off" in page.locator("[role=alert]").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("subject", "email", "says"),
    [("u-3", "eve@evil.test", "sso.email_domains"), ("nobody", "", "access_denied")],
)
def test_who_may_not_come_in_is_told_why(
    page: Page,
    console: RunningConsole,
    provider: OpenIdProvider,
    subject: str,
    email: str,
    says: str,
) -> None:
    if email:
        provider.add(subject, email)
    sign_in(page, console, subject)
    page.wait_for_selector("[role=alert]")
    assert says in page.locator("[role=alert]").inner_text()
    assert page.locator("#key").is_visible(), "an admin key is still a way in"
    assert not [c for c in page.context.cookies() if c.get("name") == "santral_session"]


@pytest.mark.browser
def test_a_provider_that_is_down_leaves_the_way_with_a_key(
    page: Page, console: RunningConsole, provider: OpenIdProvider, tmp_path: Path
) -> None:
    def away(url: str) -> dict[str, Any]:
        return {"sso": {"issuer": "http://127.0.0.1:9", "client_id": "x", "timeout_s": 1}}

    lonely = RunningConsole(tmp_path, settings=away)
    try:
        page.goto(lonely.url + "/keys")
        page.get_by_role("link", name="Sign in with 127.0.0.1").click()
        assert "cannot be reached" in page.locator("[role=alert]").inner_text()
        page.fill("#key", lonely.admin_key)
        page.press("#key", "Enter")
        page.wait_for_url("**/keys")
    finally:
        lonely.stop()


class Journey:
    """The same way without a window, to change what travels on it."""

    def __init__(self, console: RunningConsole, wanted: str = "/keys") -> None:
        self.browser = httpx.Client(base_url=console.url)
        gone = self.browser.get("/sign-in/provider", params={"next": wanted})
        assert gone.status_code == 303
        self.address = gone.headers["location"]

    def allow(self, subject: str = "u-1") -> str:
        answer = httpx.post(self.address, data={"subject": subject})
        return answer.headers["location"]

    def __enter__(self) -> Journey:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()


def test_behind_a_proxy_that_is_trusted_cookies_are_for_https_alone(tmp_path: Path) -> None:
    def settings(url: str) -> dict[str, Any]:
        return {"server": {"trusted_proxies": ["127.0.0.1"]}}

    running = RunningConsole(tmp_path, settings=settings)
    try:
        for said, is_secure in (("https", True), ("http", False)):
            headers = {"x-forwarded-proto": said, "host": "santral.example.com"}
            form = {"key": running.admin_key}
            answer = httpx.post(f"{running.url}/sign-in", data=form, headers=headers)
            assert ("Secure" in answer.headers["set-cookie"]) == is_secure
    finally:
        running.stop()


def test_the_journey_cookie_is_for_the_return_alone(console: RunningConsole) -> None:
    with Journey(console) as journey:
        answer = journey.browser.get("/sign-in/provider")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("santral_sign_in=")
        assert "HttpOnly" in cookie
        assert "Path=/sign-in/return" in cookie
        asked = parse_qs(urlsplit(journey.address).query)
        assert asked["redirect_uri"] == [f"{console.url}/sign-in/return"]


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", "/\t/evil.test"],
)
def test_the_way_back_leads_to_no_other_site(console: RunningConsole, wanted: str) -> None:
    with Journey(console, wanted) as journey:
        answer = journey.browser.get(journey.allow())
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_an_answer_in_another_browser_begins_no_session(console: RunningConsole) -> None:
    with Journey(console) as victim, Journey(console) as attacker:
        answer = victim.browser.get(attacker.allow())
        assert answer.status_code == 401
        assert "not begun in this browser" in answer.text
        assert "santral_session" not in victim.browser.cookies


def test_a_second_answer_and_a_changed_one_begin_no_session(console: RunningConsole) -> None:
    with Journey(console) as journey:
        back, cookie = journey.allow(), journey.browser.cookies["santral_sign_in"]
        assert journey.browser.get(back).headers["location"] == "/keys"
        again = httpx.get(back, headers={"cookie": f"santral_sign_in={cookie}"})
        assert again.status_code == 401
        assert "finished already" in again.text
        assert "santral_session" not in again.headers.get("set-cookie", "")
    with Journey(console) as journey:
        changed = re.sub(r"state=[^&]+", "state=" + "x" * 43, journey.allow())
        assert journey.browser.get(changed).status_code == 401


def test_a_bad_token_is_a_page_with_its_remedy(
    console: RunningConsole, provider: OpenIdProvider
) -> None:
    provider.forge = lambda claims: provider.sign({**claims, "aud": "billing"})
    with Journey(console) as journey:
        answer = journey.browser.get(journey.allow())
        assert answer.status_code == 401
        assert "sso.client_id" in answer.text
        assert "santral_session" not in journey.browser.cookies


def test_what_a_provider_says_is_text(console: RunningConsole) -> None:
    with Journey(console) as journey:
        state = parse_qs(urlsplit(journey.address).query)["state"][0]
        answer = journey.browser.get(
            "/sign-in/return",
            params={"state": state, "error": "<script>", "error_description": "<b>x"},
        )
        assert answer.status_code == 401
        assert "<script>" not in answer.text.replace('<script type="module"', "")
        assert "&lt;script&gt; &lt;b&gt;x" in answer.text


def test_the_admin_api_takes_tokens_made_for_it_from_people_who_signed_in(
    console: RunningConsole, provider: OpenIdProvider
) -> None:
    provider.add("u-5", "joan@example.com", "acme-admins")
    token = provider.token("u-5", aud="santral-api")
    ask = {"authorization": f"Bearer {token}"}
    unknown = httpx.get(f"{console.url}/api/keys?tenant_id=acme", headers=ask)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (403, "person_not_allowed")
    with Journey(console) as journey:
        journey.browser.get(journey.allow("u-5"))
    assert httpx.get(f"{console.url}/api/keys?tenant_id=acme", headers=ask).status_code == 200
    elsewhere = httpx.get(f"{console.url}/api/keys?tenant_id=default", headers=ask)
    assert elsewhere.status_code in (403, 404)
    for bad in (
        provider.token("u-5"),
        provider.token("u-5", aud="santral-api", exp=1),
        token[:-4] + "AAAA",
    ):
        answer = httpx.get(
            f"{console.url}/api/keys?tenant_id=acme", headers={"authorization": f"Bearer {bad}"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "sign_in_refused")
    key = {"authorization": f"Bearer {console.admin_key}"}
    assert httpx.get(f"{console.url}/api/keys?tenant_id=acme", headers=key).status_code == 200

"""The pages on which people administer: the same functions as API and command line, and their bounds."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import insert

from santral.console.render import POLICY
from santral.db.engine import writing
from santral.db.tables import audit_log
from santral.jobs.queue import start_job
from santral.quota.ledger.write import write_ledger
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.tenant import TenantId
from santral.traces.store import epoch_us

ROOT = local_operator()
HOSTILE = "<script>window.hit=1</script>"


@pytest.fixture(scope="module")
def house(console: Any) -> Any:
    """Return a console with an organisation in it: acme > acme-search, and globex beside it."""
    now = datetime.now(UTC)
    for id_, parent in (("acme", None), ("acme-search", "acme"), ("globex", None)):
        console.do(
            create_tenant(console.engine, id_, f"{id_} {HOSTILE}", now, by=ROOT, parent=parent)
        )
    return console


@pytest.fixture
def owner(house: Any) -> Iterator[Any]:
    with house.client() as made:
        yield made


@pytest.fixture
def acme_admin(house: Any) -> Iterator[Any]:
    """Return a browser of an administrator of acme and what is beneath it."""
    with house.client("admin", "acme") as made:
        yield made


PAGES = ("/tenants", "/tenants/acme", "/tenants/acme/delete", "/keys", "/keys?tenant=acme", "/users",
         "/limits", "/limits?tenant=*", "/ledger", "/ledger?month=2020-01&by=tags", "/audit",
         "/audit/1", "/jobs", "/collections", "/collections?tenant=acme")  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["en", "tr"])
def test_every_page_is_strict_and_shows_names_as_text(owner: Any, path: str, lang: str) -> None:
    answer = owner.get(path, headers={"accept-language": lang})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert HOSTILE not in answer.text
    assert f'<html lang="{lang}">' in answer.text
    assert " style=" not in answer.text
    for form in re.findall(r'<form[^>]* method="post".*?</form>', answer.text, re.DOTALL):
        assert 'name="form_token"' in form, form


def every_post(console: Any) -> list[str]:
    return [
        route.path
        for route in console.router.routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    ]


def test_no_form_of_another_site_does_anything(house: Any, owner: Any) -> None:
    posts = every_post(house)
    assert len(posts) >= 16
    before = acts(owner)
    for path in posts:
        place = re.sub(r"\{\w+\}", "acme", path)
        token = re.search(r'name="form_token" value="([0-9a-f]{64})"', owner.get("/users").text)
        assert token is not None
        for headers, form_token in (
            ({"sec-fetch-site": "cross-site"}, token[1]),
            ({"sec-fetch-site": "same-site"}, token[1]),
            ({"origin": "https://evil.test"}, token[1]),
            ({"origin": "null"}, token[1]),
            ({}, ""),
            ({}, "0" * 64),
        ):
            if path == "/sign-in" and not headers:
                continue  # there is no session yet that could have a word; the browser's word counts
            answer = owner.post(
                place, data={"form_token": form_token, "key": house.admin_key}, headers=headers
            )
            assert answer.status_code == 403, (path, headers, form_token)
    # Refused attempts are noted, too, and may move older rows off the page.
    assert set(acts(owner)) <= set(before), "nothing was done, and the session is still there"


def acts(owner: Any) -> list[str]:
    """Return what stands in the audit log, without attempts that were refused."""
    page = owner.get("/audit")
    assert page.status_code == 200
    found = re.findall(r'href="/audit/(\d+)".*?<strong>([\w.]+)</strong>', page.text, re.DOTALL)
    return [number for number, action in found if action != "sessions.refused"]


def test_a_word_of_another_session_is_not_taken(house: Any, owner: Any) -> None:
    with house.client() as other:
        token = re.search(r'name="form_token" value="([0-9a-f]{64})"', other.get("/tenants").text)
    assert token is not None
    answer = owner.post("/tenants", data={"form_token": token[1], "id": "stolen"})
    assert answer.status_code == 403
    assert "does not belong to your session" in answer.text


def test_a_tenant_is_made_renamed_moved_switched_and_deleted(owner: Any) -> None:
    made = owner.send_form("/tenants", id="initech", name="Initech", parent="acme")
    assert (made.status_code, made.headers["location"]) == (
        303,
        "/tenants/initech?done=done_created",
    )
    assert "Created." in owner.get(made.headers["location"]).text
    owner.send_form("/tenants/initech/rename", name="Initech GmbH")
    owner.send_form("/tenants/initech/move", parent="")
    owner.send_form("/tenants/initech/switch", to="off")
    page = owner.get("/tenants/initech").text
    assert "Initech GmbH" in page
    assert "Switch on" in page
    owner.send_form("/tenants/initech/switch", to="on")
    owner.send_form("/keys", tenant="initech", name="app")
    asked = owner.send_form("/tenants/initech/delete")
    assert asked.status_code == 409
    assert "ends 1 key" in asked.text
    assert "Delete all the same" in asked.text
    assert owner.get("/tenants/initech").status_code == 200
    gone = owner.send_form("/tenants/initech/delete", force="yes")
    assert gone.headers["location"] == "/tenants?done=done_deleted"
    assert owner.get("/tenants/initech").status_code == 404


def test_what_is_wrong_with_a_form_is_said_on_its_page_and_nothing_typed_is_lost(
    owner: Any,
) -> None:
    answer = owner.send_form("/tenants", id="Not An Id", name="Kept")
    assert answer.status_code == 400
    assert "cannot be the id of a tenant" in answer.text
    assert 'value="Not An Id"' in answer.text
    assert 'value="Kept"' in answer.text


def test_a_key_is_shown_once_rotated_with_an_overlap_and_revoked(owner: Any) -> None:
    issued = owner.send_form(
        "/keys", tenant="acme", name="crawler", routes="support\nsearch", networks="10.0.0.0/8",
        scopes="conversations", expires_on="2040-01-31",
    )  # fmt: skip
    assert issued.status_code == 200
    [text] = re.findall(r'<code id="new-key">(sk-santral-[\w-]{47})</code>', issued.text)
    [key_id] = re.findall(r"key_[0-9a-f]{16}", issued.text)
    for page in ("/keys?tenant=acme", f"/keys/{key_id}"):
        shown = owner.get(page).text
        assert text not in shown
        assert text[:17] in shown
    assert "2040-02-01" in owner.get(f"/keys/{key_id}").text, "the end of that day"
    form = {"name": "crawler", "expires_on": "2040-01-31", "networks": "10.0.0.0/8"}
    owner.send_form(f"/keys/{key_id}/change", **form)
    assert "2040-02-01" in owner.get(f"/keys/{key_id}").text, "saving again moves no end"
    rotated = owner.send_form(f"/keys/{key_id}/rotate", overlap_hours="2")
    [newer] = re.findall(r'<code id="new-key">(sk-santral-[\w-]{47})</code>', rotated.text)
    assert newer != text
    assert "former text works until" in rotated.text
    changed = owner.send_form(f"/keys/{key_id}/change", name="crawler 2", routes="support")
    assert changed.status_code == 303
    page = owner.get(f"/keys/{key_id}").text
    assert "crawler 2" in page
    assert "from anywhere" in page, "an empty field takes the bound away"
    ended = owner.send_form(f"/keys/{key_id}/revoke")
    assert ended.headers["location"] == "/keys?tenant=acme&done=done_revoked"
    assert "revoked" in owner.get(f"/keys/{key_id}").text
    assert "is revoked, for good" in owner.send_form(f"/keys/{key_id}/rotate").text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"expires_on": "yesterday"}, "is not a day"),
        ({"expires_on": "2001-01-01"}, "expired already"),
        ({"networks": "10.0.0.1/8"}, "did you mean 10.0.0.0/8"),
        ({"scopes": "nonsense"}, "no scope"),
        ({"name": " "}, "printable characters"),
        ({"role": "emperor"}, "emperor"),
        ({"role": "admin", "role_over": "globes"}, "no tenant"),
    ],
)
def test_a_key_that_could_not_work_is_refused_by_its_field(
    owner: Any, fields: dict[str, str], says: str
) -> None:
    answer = owner.send_form("/keys", **{"tenant": "acme", "name": "x", **fields})
    assert 400 <= answer.status_code < 500
    assert says in answer.text


def test_a_user_gets_and_loses_roles_and_is_switched_off(owner: Any) -> None:
    made = owner.send_form("/users", name="Ada", email="Ada@example.com", kind="person", role="viewer", over="acme")  # fmt: skip
    address = made.headers["location"].partition("?")[0]
    owner.send_form(f"{address}/grant", role="admin", over="acme")
    owner.send_form(f"{address}/grant", role="auditor", over="*")
    page = owner.get(address).text
    assert "ada@example.com" in page
    assert page.count('name="over" value=') == 2
    owner.send_form(f"{address}/take", over="*")
    owner.send_form(f"{address}/switch", to="off")
    page = owner.get(address).text
    assert page.count('name="over" value=') == 1
    assert "Switch on" in page
    assert "already" in owner.send_form("/users", name="B", email="ada@example.com", role="viewer", over="acme").text  # fmt: skip


def test_an_administrator_of_a_part_sees_and_does_nothing_outside_of_it(acme_admin: Any) -> None:
    page = acme_admin.get("/tenants").text
    assert "acme-search" in page
    assert "globex" not in page
    assert "/tenants/default" not in page
    for path in ("/tenants/globex", "/keys?tenant=globex", "/limits?tenant=globex", "/ledger?tenant=globex",
                 "/traces?tenant=globex", "/audit?tenant=globex", "/ledger/export?tenant=globex&month=2026-11"):  # fmt: skip
        assert acme_admin.get(path).status_code == 404, path
    assert acme_admin.get("/limits?tenant=*").status_code == 403
    for path, fields in (
        ("/tenants", {"id": "mine"}),
        ("/tenants/globex/switch", {"to": "off"}),
        ("/keys", {"tenant": "globex", "name": "x"}),
        ("/keys", {"tenant": "acme", "name": "x", "role": "owner", "role_over": "*"}),
        ("/users", {"name": "x", "email": "x@example.com", "role": "owner", "over": "*"}),
        ("/limits", {"tenant": "*", "measure": "requests", "window": "day", "amount": "1"}),
        ("/audit/verify", {}),
    ):
        assert acme_admin.send_form(path, **fields).status_code in (403, 404), (path, fields)
    assert acme_admin.send_form("/keys", tenant="acme-search", name="ours").status_code == 200


@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [
        (
            "viewer",
            {"/tenants", "/limits", "/ledger", "/traces"},
            {"/keys", "/users", "/audit", "/jobs"},
        ),
        ("auditor", {"/keys", "/users", "/audit", "/jobs", "/ledger"}, set()),
        (
            "reviewer",
            {"/tenants", "/traces"},
            {"/keys", "/users", "/limits", "/ledger", "/audit", "/jobs"},
        ),
    ],
)
def test_the_menu_has_what_the_role_may_open_and_the_rest_is_closed(
    house: Any, role: str, shown: set[str], hidden: set[str]
) -> None:
    with house.client(role) as client:
        menu = re.search(r"<nav aria-label.*?</nav>", client.get("/tenants").text, re.DOTALL)
        assert menu is not None
        listed = set(re.findall(r'href="([^"]+)"', menu[0]))
        assert shown <= listed
        assert not hidden & listed
        for path in shown:
            assert client.get(path).status_code == 200, path
        for path in hidden:
            assert client.get(path).status_code == 403, path
        for path in ("/tenants", "/keys", "/users", "/limits"):
            assert 'class="danger"' not in client.get(path).text
            assert f'<form class="fields" method="post" action="{path}' not in client.get(path).text


def test_prompts_and_answers_are_shown_to_who_may_read_them_alone(
    house: Any, make_sample: Any
) -> None:
    house.put(make_sample(6, epoch_us(), "ok", trace_id="7" * 32, tenant_id="acme"))
    for role, is_shown in (("developer", True), ("viewer", False), ("auditor", False)):
        with house.client(role, "acme") as client:
            page = client.get("/traces/" + "7" * 32).text
            assert ("How long do I" in page) == is_shown, role
    with house.client("owner", "globex") as client:
        assert client.get("/traces/" + "7" * 32).status_code == 404


def test_a_budget_is_set_and_removed(owner: Any) -> None:
    made = owner.send_form(
        "/limits", tenant="acme", kind="tenant", measure="usd", amount="1,234.50", window="month",
        time_zone="Europe/Istanbul", warn_at="50, 80",
    )  # fmt: skip
    assert made.status_code == 303, made.text
    page = owner.get("/limits?tenant=acme").text
    assert "$1,234.50" in page
    assert "Europe/Istanbul" in page
    assert "50 %, 80 %" in page
    beneath = owner.get("/limits?tenant=acme-search").text
    assert "$1,234.50" in beneath, "limits of who stands above are shown"
    [id_] = re.findall(r'name="id" value="(lim_[0-9a-f]+)"', page)
    gone = owner.send_form("/limits/remove", id=id_, tenant="acme")
    assert gone.headers["location"] == "/limits?tenant=acme&done=done_removed"
    assert "No limit holds here" in owner.get("/limits?tenant=acme").text


def test_a_budget_says_what_is_left_how_fast_it_goes_and_when_it_is_used_up(
    house: Any, owner: Any, make_sample: Any
) -> None:
    records = [
        make_sample(n, epoch_us() - n * 60 * 10**6, "ok", tenant_id="globex", cost_nanousd=0,
                    request_id=f"req_burn_{n}") for n in range(1, 9)
    ]  # fmt: skip
    house.do(write_ledger(house.engine, records))
    cost = sum(a.cost_nanousd for r in records for a in r.attempts)
    for amount, rolling, says in (
        (cost * 10**6, "", "holds"),
        (cost * 100, "yes", "badge bad"),
        (cost // 2, "yes", "used up"),
    ):
        owner.send_form(
            "/limits", tenant="globex", kind="tenant", measure="usd", amount=f"{amount / 1e9:.9f}",
            window="month", rolling=rolling,
        )  # fmt: skip
        rows = re.search(r"<tbody>.*?</tbody>", owner.get("/limits?tenant=globex").text, re.DOTALL)
        assert rows is not None
        assert says in rows[0], amount
        assert "an hour" in rows[0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"amount": ""}, "Say how much"),
        ({"amount": "much"}, "is not a number"),
        ({"amount": "nan", "measure": "tokens"}, "whole number"),
        ({"amount": "1.5", "measure": "tokens"}, "whole number"),
        ({"amount": "5", "time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"amount": "5", "warn_at": "many"}, "percentages"),
        ({"amount": "5", "window": "second"}, "window"),
        ({"amount": "5", "wait_s": "5", "fall_to": "mini"}, "contradict"),
        ({"amount": "5", "measure": "apples"}, "apples"),
    ],
)
def test_a_limit_that_means_nothing_is_refused_by_its_field(
    owner: Any, fields: dict[str, str], says: str
) -> None:
    answer = owner.send_form("/limits", **{"tenant": "acme", "kind": "tenant", "measure": "usd", "window": "month", **fields})  # fmt: skip
    assert answer.status_code == 400
    assert says in answer.text


def test_a_month_of_the_ledger_adds_up_and_is_exported(
    house: Any, owner: Any, make_sample: Any
) -> None:
    records = [
        make_sample(n, epoch_us() - 10**6, "ok", tenant_id=tenant, request_id=f"req_ledger_{n}")
        for n, tenant in enumerate(["acme", "acme", "acme-search"])
    ]
    house.do(write_ledger(house.engine, records))
    month = datetime.now(UTC).strftime("%Y-%m")
    for by in ("day", "model", "prompt", "route", "tags"):
        page = owner.get(f"/ledger?tenant=acme&month={month}&by={by}").text
        assert "acme-search" in page
        assert "gpt-5.1-mini" in page or by != "model"
    answer = owner.get(f"/ledger/export?tenant=acme&month={month}")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        rows = archive.read(f"ledger-{month}-acme.csv").decode()
    assert rows.count("req_ledger_") == 2
    assert owner.get(f"/ledger/export?tenant=a%0d%0ab&month={month}").status_code == 400
    assert owner.get("/ledger?month=soon").status_code == 400


def test_the_audit_log_is_filtered_and_verified(house: Any, owner: Any) -> None:
    owner.send_form("/tenants", id="audited")
    page = owner.get("/audit?object=tenant:audited").text
    assert page.count("<strong>tenants.create</strong>") == 1
    number = re.search(r'href="/audit/(\d+)"', page)
    assert number is not None
    assert "hash" in owner.get(f"/audit/{number[1]}").text.lower()
    assert "No row matches" in owner.get("/audit?until=2001-01-01").text
    assert owner.get("/audit?since=soon").status_code == 400
    assert owner.get("/audit/nonsense").status_code == 404
    assert "The chain holds" in owner.send_form("/audit/verify").text


def test_a_log_that_was_changed_is_found_broken(empty_console: Any) -> None:
    with empty_console.client() as owner:

        async def forge() -> None:
            async with writing(empty_console.engine) as conn:
                row = {"number": 999, "occurred_at": datetime.now(UTC), "tenant_id": "*", "actor": "system",
                       "action": "x", "object": "y", "origin": "z", "previous_hash": "0" * 64, "hash": "1" * 64}  # fmt: skip
                await conn.execute(insert(audit_log).values(row))

        empty_console.do(forge())
        assert "The chain is broken" in owner.send_form("/audit/verify").text


def test_a_job_is_listed_shown_and_cancelled(house: Any, owner: Any) -> None:
    async def start() -> Any:
        async with writing(house.engine) as conn:
            return await start_job(
                conn, lambda n: b"\7" * n, "privacy.erase", TenantId("acme"), {"subject": "ada"},
                datetime.now(UTC), actor=ROOT.actor,
            )  # fmt: skip

    job = house.do(start())
    page = owner.get("/jobs").text
    assert job.id in page
    assert "ada" not in owner.get(f"/jobs/{job.id}").text, "whom a job is about is never shown"
    with house.client("admin", "globex") as other:
        assert job.id not in other.get("/jobs").text
        assert other.get(f"/jobs/{job.id}").status_code == 404
        assert other.send_form(f"/jobs/{job.id}/cancel").status_code == 404
    assert owner.send_form(f"/jobs/{job.id}/cancel").status_code == 303
    assert "cancelled" in owner.get(f"/jobs/{job.id}").text
    assert owner.get("/jobs?state=done").text.count(job.id) == 0
    assert owner.get("/jobs?state=odd").status_code == 400


def test_a_person_is_counted_exported_or_erased_by_a_job(house: Any, owner: Any) -> None:
    started = owner.send_form("/jobs", tenant="acme", user="u-77", task="count")
    assert started.status_code == 303
    assert "privacy.erase" in owner.get(started.headers["location"]).text
    assert (
        owner.send_form("/jobs", tenant="acme", texts="ada@example.com", task="export").status_code
        == 303
    )
    for fields, says in (
        ({"task": "erase"}, "Say whom"),
        ({"task": "explode", "user": "u"}, "Choose what to do"),
        ({"task": "erase", "texts": "ab"}, "at least 4 characters"),
    ):
        answer = owner.send_form("/jobs", tenant="acme", **fields)
        assert (answer.status_code, says in answer.text) == (400, True), answer.text
    with house.client("operator", "acme") as operator:
        assert "task" not in operator.get("/jobs").text
        assert operator.send_form("/jobs", tenant="acme", user="u", task="erase").status_code == 403


def test_empty_pages_say_what_to_do(empty_console: Any) -> None:
    with empty_console.client() as owner:
        for path, says in (
            ("/users", "Add a service account"),
            ("/limits", "Set a budget"),
            ("/ledger", "send a request"),
            ("/jobs", "santral privacy erase"),
            ("/audit?actor=nobody", "Take a filter away"),
        ):
            assert says in owner.get(path).text, path


def test_a_form_is_bounded(owner: Any) -> None:
    assert owner.post("/tenants", content=b"x" * 70_000, headers={"content-type": "application/x-www-form-urlencoded"}).status_code in (400, 403)  # fmt: skip
    many = "&".join(f"a{n}=1" for n in range(500))
    assert owner.post("/tenants", content=many).status_code == 400


def test_a_stranger_is_shown_no_page(house: Any) -> None:
    with httpx.Client(base_url=house.url) as stranger:
        for path in PAGES:
            answer = stranger.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in?next="), path
        for path in every_post(house):
            if path not in ("/sign-in", "/sign-out"):
                answer = stranger.post(re.sub(r"\{\w+\}", "acme", path), data={"id": "x"})
                assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path

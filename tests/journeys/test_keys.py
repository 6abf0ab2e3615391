"""Keys, tenants and users at work: what the command line and the admin API change, gateways follow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from tests.journeys.conftest import Santral, configuration, wait_until
from tests.upstream import Upstream

pytestmark = pytest.mark.journey


def run(santral: Santral, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the running processes, as an operator does."""
    return subprocess.run(
        [sys.executable, "-m", "santral", *words],
        env=santral.env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def issued(santral: Santral, **terms: object) -> str:
    """Issue a key; return its text."""
    return santral.admin("/api/keys", {"name": "some", **terms}, "POST")["plaintext"]


def planted(santral: Santral, *pairs: str) -> None:
    """Make tenants from ``child<parent`` or ``name``, in this order."""
    for pair in pairs:
        name, _, parent = pair.partition("<")
        santral.admin("/api/tenants", {"id": name, "parent_id": parent or None}, "POST")


def status(santral: Santral, key: str, **more: str) -> int:
    return santral.post(santral.chat("ok"), key=key, headers=more)[0]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Santral]:
    """Return one installation behind a proxy that it trusts."""
    text = configuration(upstream.base_url).replace(
        "[server]\n", '[server]\ntrusted_proxies = ["127.0.0.0/8"]\n', 1
    )
    running = Santral(tmp_path_factory.mktemp("keys"), text)
    yield running
    running.stop()


def test_a_key_rotated_by_command_goes_on_under_both_texts_and_then_under_one(
    here: Santral,
) -> None:
    first = issued(here, name="rotating")
    wait_until(lambda: status(here, first) == 200, 3)
    turned = run(here, "keys", "rotate", first[:17], "--overlap", "3s")
    assert turned.returncode == 0, turned.stderr
    assert "works until" in turned.stderr
    second = turned.stdout.strip()
    wait_until(lambda: status(here, second) == 200, 2)
    assert status(here, first) == 200 or "was replaced" in said(here, first)
    wait_until(lambda: status(here, first) == 401, 5)
    assert "was replaced" in said(here, first)
    assert status(here, second) == 200


def said(santral: Santral, key: str) -> str:
    return santral.post(santral.chat("ok"), key=key)[2].decode()


def test_a_key_is_held_to_its_networks_behind_a_trusted_proxy(here: Santral) -> None:
    key = issued(here, networks=["198.51.100.0/24"])
    wait_until(lambda: status(here, key, **{"x-forwarded-for": "198.51.100.9"}) == 200, 3)
    assert status(here, key) == 403
    assert status(here, key, **{"x-forwarded-for": "198.51.100.9, 203.0.113.7"}) == 403


def test_an_organisation_that_is_switched_off_takes_its_teams_with_it(here: Santral) -> None:
    planted(here, "org", "team<org", "project<team")
    key = issued(here, tenant_id="project")
    wait_until(lambda: status(here, key) == 200, 3)
    run(here, "tenants", "off", "org")
    wait_until(lambda: status(here, key) == 403, 2)
    here.admin("/api/tenants/org", {"is_active": True}, "PATCH")
    wait_until(lambda: status(here, key) == 200, 2)
    tree = run(here, "tenants", "list").stdout.splitlines()
    assert "  team\tteam\tactive" in tree
    refused = run(here, "tenants", "move", "org", "--parent", "project")
    assert refused.returncode == 1
    assert "beneath it" in refused.stderr


def test_a_tenant_with_spend_and_keys_is_deleted_only_by_force(here: Santral) -> None:
    planted(here, "leaving")
    key = issued(here, tenant_id="leaving")
    wait_until(lambda: status(here, key) == 200, 3)
    wait_until(lambda: here.admin(f"/api/keys/{key[:17]}")["last_used_at"], 10)
    asked = run(here, "tenants", "delete", "leaving")
    assert asked.returncode == 1
    for part in ("ends 1 key", "may be running", "of the ledger", "--force"):
        assert part in asked.stderr
    assert status(here, key) == 200
    assert run(here, "tenants", "delete", "leaving", "--force").returncode == 0
    wait_until(lambda: status(here, key) == 401, 2)
    assert "stays so" in run(here, "tenants", "create", "leaving").stderr


def test_a_team_administers_itself_and_sees_nobody_else(here: Santral) -> None:
    planted(here, "alpha", "beta")
    key = issued(here, tenant_id="alpha", role="admin", name="alpha admin")
    ours, theirs = "/api/keys?tenant_id=alpha", "/api/keys?tenant_id=beta"
    code, _, body = here.get(f"{here.control}{ours}", key)
    assert code == 200
    assert [k["name"] for k in json.loads(body)["keys"]] == ["alpha admin"]
    assert here.get(f"{here.control}{theirs}", key)[0] == 404
    _, _, listed = here.get(f"{here.control}/api/tenants", key)
    assert [t["id"] for t in json.loads(listed)["tenants"]] == ["alpha"]
    assert here.get(f"{here.control}/api/traces?tenant=beta", key)[0] == 404


def test_a_user_switched_off_takes_their_keys_with_them(here: Santral) -> None:
    made = run(here, "users", "create", "ci robot", "--service")
    user = made.stdout.partition("(")[2].partition(")")[0]
    key = issued(here, owner=user)
    wait_until(lambda: status(here, key) == 200, 3)
    _, headers, _ = here.post(here.chat("ok"), key=key)
    assert here.trace(headers["x-santral-trace-id"])["user"] == user
    run(here, "users", "disable", user)
    wait_until(lambda: status(here, key) == 403, 2)
    here.admin(f"/api/users/{user}", {"is_active": True}, "PATCH")
    wait_until(lambda: status(here, key) == 200, 2)


def test_a_key_in_an_address_is_refused_and_in_no_log(here: Santral) -> None:
    for address in (
        f"{here.gateway}/v1/models?key={here.key}",
        f"{here.gateway}/v1/{here.key}/models",
        f"{here.control}/api/tenants?access_token={here.admin_key}",
        f"{here.control}/traces/{here.admin_key}",
    ):
        code, _, body = here.get(address)
        assert code == 400, address
        assert b"rotate this key" in body
        assert here.key.encode() not in body
        assert here.admin_key.encode() not in body
    time.sleep(0.2)
    for secret in (here.key, here.admin_key):
        assert secret[17:] not in here.logs()


def test_the_last_owner_is_not_revoked_by_anybody(here: Santral) -> None:
    refused = run(here, "keys", "revoke", here.admin_key[:17])
    assert refused.returncode == 1
    assert "last owner" in refused.stderr
    request = urllib.request.Request(
        f"{here.control}/api/keys/{here.admin_key[:17]}", method="DELETE"
    )
    request.add_header("authorization", f"Bearer {here.admin_key}")
    code, _, body = here._open(request)
    assert code == 409
    assert b"last_owner" in body


def test_the_first_start_prints_an_owner_once(own_santral: Callable[..., Santral]) -> None:
    santral = own_santral()
    assert sum("admin key" in line for line in santral.output) == 1
    roles = {
        key["name"]: (key["role"], key["role_over"]) for key in santral.admin("/api/keys")["keys"]
    }
    assert roles == {"first administrator": ("owner", "*"), "first application": (None, None)}
    santral.stop()
    santral.output.clear()
    santral.start()
    assert not any("sk-santral-" in line for line in santral.output)

"""Single sign-on through a real `santral serve`: started while the provider is down, ended by command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.journeys.conftest import Santral
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]  # it starts whole processes

SETTINGS = """
[server]
port = 0
drain_s = 2
[control]
port = 0
[log]
level = "warning"
format = "text"
[sso]
issuer = "{issuer}"
client_id = "{client}"
client_secret = "env:SSO_SECRET"
timeout_s = 2
[sso.newcomers]
role = "viewer"
"""


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider()
    made.add("u-1", "ada@example.com")
    yield made
    made.stop()


@pytest.fixture
def here(provider: OpenIdProvider, tmp_path: Path) -> Iterator[Santral]:
    provider.break_with("/.well-known/openid-configuration", 503)
    text = SETTINGS.format(issuer=provider.issuer, client=CLIENT_ID)
    running = Santral(tmp_path, text, {"SSO_SECRET": CLIENT_SECRET})
    yield running
    running.stop()


def run(here: Santral, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "santral", *arguments],
        env={**os.environ, **here.env}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_people_come_in_when_the_provider_is_back_and_are_out_when_switched_off(
    here: Santral, provider: OpenIdProvider
) -> None:
    provider.redirect_uris.append(f"{here.control}/sign-in/return")
    with httpx.Client(base_url=here.control, timeout=20) as browser:
        down = browser.get("/sign-in/provider", params={"next": "/tenants"})
        assert down.status_code == 503
        assert "An admin key signs in meanwhile" in down.text
        provider.mend()
        gone = browser.get("/sign-in/provider", params={"next": "/tenants"})
        for _ in range(20):  # a provider that was down is asked again after some seconds
            if gone.status_code == 303:
                break
            time.sleep(0.5)
            gone = browser.get("/sign-in/provider", params={"next": "/tenants"})
        back = httpx.post(gone.headers["location"], data={"subject": "u-1"}).headers["location"]
        assert browser.get(back).headers["location"] == "/tenants"
        assert browser.get("/tenants").status_code == 200
        assert browser.get("/keys").status_code == 403, "a viewer"
        run(here, "users", "disable", "ada@example.com")
        began = time.monotonic()
        assert browser.get("/tenants").headers["location"].startswith("/sign-in")
        assert time.monotonic() - began < 2
    assert "sessions.begin" in run(here, "audit", "list")
    assert CLIENT_SECRET not in here.logs()


def test_a_session_outlives_a_restart_and_ends_with_its_key(here: Santral) -> None:
    with httpx.Client(timeout=20) as browser:
        entered = browser.post(f"{here.control}/sign-in", data={"key": here.admin_key})
        assert entered.status_code == 303
        cookie = {"cookie": f"santral_session={browser.cookies['santral_session']}"}
    here.stop()
    here.start()
    assert httpx.get(f"{here.control}/keys", headers=cookie).status_code == 200
    run(here, "keys", "create", "--name", "another", "--role", "owner", "--over", "*")
    run(here, "keys", "revoke", here.admin_key[:17])
    assert httpx.get(f"{here.control}/keys", headers=cookie).status_code == 303

"""A real OpenID provider, and the way through it without a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.oidc_provider import CLIENT_ID, OpenIdProvider

from santral.config.sso import SsoConfig
from santral.tenants.oidc.flow import Arrival, SignIn
from santral.tenants.oidc.issuer import Issuer

RETURN = "http://127.0.0.1:8081/sign-in/return"


@pytest.fixture(scope="session")
def running_provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider()
    made.redirect_uris.append(RETURN)
    yield made
    made.stop()


@pytest.fixture
def provider(running_provider: OpenIdProvider) -> Iterator[OpenIdProvider]:
    running_provider.people.clear()
    running_provider.add("u-1", "ada@example.com", "engineers")
    running_provider.asked.clear()
    yield running_provider
    running_provider.mend()


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SSO_SECRET", "s3cret of the client")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Door:
    """A console's way through the provider; ``now`` moves when a test says so."""

    def __init__(self, provider: OpenIdProvider, **changes: Any) -> None:
        self.provider = provider
        self.now = time.time()
        self.settings = SsoConfig.model_validate(
            {
                "issuer": provider.issuer,
                "client_id": CLIENT_ID,
                "client_secret": "env:TEST_SSO_SECRET",
                "timeout_s": 2,
                **changes,
            }
        )
        self.issuer = Issuer(self.settings, lambda: self.now)
        self.sign_in = SignIn(self.settings, self.issuer, _random, lambda: self.now)

    async def depart(self, wanted: str = "/keys") -> tuple[str, str]:
        gone = await self.sign_in.begin(wanted, RETURN)
        return gone.url, gone.cookie

    async def through(self, url: str, subject: str = "u-1") -> dict[str, str]:
        """Sign in at the provider; return the query that the browser comes back with."""
        async with httpx.AsyncClient() as browser:
            answer = await browser.post(url, data={"subject": subject})
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def enter(self, subject: str = "u-1") -> Arrival:
        url, cookie = await self.depart()
        return await self.sign_in.finish(await self.through(url, subject), cookie)


def _random(size: int) -> bytes:
    import secrets

    return secrets.token_bytes(size)


@pytest.fixture
def door(provider: OpenIdProvider) -> Door:
    return Door(provider)


@pytest.fixture
def make_door(provider: OpenIdProvider) -> Any:
    return lambda **changes: Door(provider, **changes)

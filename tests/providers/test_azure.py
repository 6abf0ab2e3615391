"""Azure's addresses and credentials, and the habits of its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from tests.replay import Asked, Replay, recording

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import ConfigError
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import connect_to
from santral.providers.openai.azure import AzureProvider
from santral.providers.provider import ProviderCall
from santral.providers.registry import VENDORS

KEY = "0123456789abcdef0123456789abcdef"
PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)
CLASSIC = "/openai/deployments/gpt-main/chat/completions"
FIELDS: dict[str, Any] = {"messages": [Raw(b'{"role":"user","content":"Hi"}')]}


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_AZURE_KEY", KEY)


def azure(base_url: str, client: AiohttpClient, **settings: Any) -> AzureProvider:
    if "bearer_token" not in settings:
        settings["api_key"] = SecretRef("env:TEST_AZURE_KEY")
    config = ProviderConfig(kind="azure", base_url=base_url, **settings)
    return AzureProvider(connect_to("main", config, VENDORS["azure"], client))


def asked(replay: Replay, path: str, **settings: Any) -> Asked:
    replay.reset()
    replay.will(path, recording("azure/stream.sse"))
    base_url = replay.base_url + settings.pop("below", "")

    async def collect() -> None:
        client = AiohttpClient()
        call = ProviderCall(model="gpt-main", fields=FIELDS, is_streaming=True, timeouts=PATIENT)
        provider = azure(base_url, client, **settings)
        try:
            async with aclosing(provider.stream(call)) as deltas:
                assert [delta async for delta in deltas]
        finally:
            await client.close()

    asyncio.run(collect())
    return replay.asked[-1]


def test_with_a_version_the_deployment_has_its_own_path(replay: Replay) -> None:
    seen = asked(replay, CLASSIC, api_version="2024-10-21")
    assert seen.query == "api-version=2024-10-21"
    assert seen.headers["api-key"] == KEY
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("below", ["", "/openai/v1", "/openai"])
def test_without_one_the_model_is_named_in_the_body(replay: Replay, below: str) -> None:
    seen = asked(replay, "/openai/v1/chat/completions", below=below)
    assert seen.query == ""
    assert seen.json["model"] == "gpt-main"


def test_an_entra_token_goes_into_authorization(replay: Replay, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("eyJ0eXAi.token")
    seen = asked(replay, CLASSIC, api_version="2024-10-21", bearer_token=SecretRef(f"file:{file}"))
    assert seen.headers["authorization"] == "Bearer eyJ0eXAi.token"
    assert "api-key" not in seen.headers


@pytest.mark.parametrize("model", ["a#b", "a/b", "a?b", "../x", "ü"])
def test_a_deployments_name_cannot_choose_another_address(model: str) -> None:
    provider = azure("https://house.openai.azure.com", AiohttpClient(), api_version="1")
    address = provider.address(model)
    assert address.startswith("https://house.openai.azure.com/openai/deployments/")
    assert address.endswith("/chat/completions?api-version=1")
    name = address.split("/deployments/")[1].split("/chat/")[0]
    assert not set(name) & set("#/?ü")


def test_a_path_in_the_address_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="give the resource alone"):
        azure("https://house.openai.azure.com/openai/deployments/x", AiohttpClient())

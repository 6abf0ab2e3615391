"""A provider is built from a row and its settings, or refused with the place and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig
from santral.errors import ConfigError
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.provider import Provider
from santral.providers.registry import VENDORS, build_provider

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PROVIDER_KEY", KEY)


def build(**settings: Any) -> Provider:
    return build_provider("main", ProviderConfig(**settings), AiohttpClient())


@pytest.mark.parametrize(
    "kind", [kind for kind, row in VENDORS.items() if row.base_url and row.auth != "own"]
)
def test_every_row_builds_with_a_key_alone(kind: str) -> None:
    config = ProviderConfig(
        kind=kind, api_key=SecretRef("env:TEST_PROVIDER_KEY"), region="us-east-1"
    )
    provider = build_provider("main", config, AiohttpClient())
    assert VENDORS[kind].base_url in repr(provider)
    assert KEY not in repr(provider)


def test_rows_are_named_by_their_kind_and_their_addresses_are_whole() -> None:
    for kind, vendor in VENDORS.items():
        assert vendor.kind == kind
        assert not vendor.base_url.endswith("/")
        assert vendor.base_url.startswith(("https://", "http://127.0.0.1:", ""))


def test_an_address_may_be_given_with_or_without_its_slash() -> None:
    for url in ("http://10.0.0.5:8000/v1", "http://10.0.0.5:8000/v1/"):
        provider = build(kind="vllm", base_url=url)
        assert "'http://10.0.0.5:8000/v1/chat/completions'" in repr(provider)


def test_the_local_provider_comes_from_its_factory() -> None:
    made = build(kind="vllm")
    assert build_provider("x", ProviderConfig(kind="local"), AiohttpClient(), lambda: made) is made


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "opnai"}, "providers.main.kind: unknown kind 'opnai'. Did you mean 'openai'?"),
        ({"kind": "local"}, "'local' is not available"),
        ({"kind": "openai"}, "api_key: OpenAI needs a key"),
        ({"kind": "openai", "api_key": "env:TEST_NO_SUCH_KEY"}, "TEST_NO_SUCH_KEY"),
        ({"kind": "openai-compatible"}, "base_url: 'openai-compatible' has no address"),
        ({"kind": "vllm", "base_url": "localhost:8000"}, "must begin with http"),
        ({"kind": "vllm", "base_url": "ftp://host/v1"}, "must begin with http"),
        ({"kind": "vllm", "base_url": "http://"}, "must begin with http"),
        ({"kind": "vllm", "base_url": "http://host:99999/v1"}, "is not a URL"),
        ({"kind": "vllm", "base_url": "http://user:pw@host/v1"}, "put the credential into api_key"),
        ({"kind": "vllm", "base_url": "http://host/v1?x=1"}, "must not hold"),
        ({"kind": "vllm", "base_url": "http://host/v1#x"}, "must not hold"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**settings)
    assert words in caught.value.message


def test_a_key_that_would_write_headers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PROVIDER_KEY", "sk-abc\r\nx-evil: 1")
    with pytest.raises(ConfigError) as caught:
        build(kind="openai", api_key="env:TEST_PROVIDER_KEY")
    assert "sk-abc" not in caught.value.message


def test_a_credential_in_a_header_is_enough() -> None:
    assert build(kind="openai", headers={"Authorization": "Token x"})

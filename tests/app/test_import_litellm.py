"""A LiteLLM configuration becomes a santral.toml that loads; what does not is said, secrets stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.config.load import LoadedConfig, load
from santral.errors import ConfigError
from santral.providers.catalogue.prices import PriceBook
from santral.wire.usage import Usage

EVERYTHING = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/my-gpt-4o
      api_base: https://my.openai.azure.com/
      api_key: os.environ/AZURE_EU
      api_version: "2026-05-01"
      rpm: 60
      order: 1
    model_info: { base_model: gpt-4o }
  - model_name: gpt-4o
    litellm_params: { model: azure/other, api_base: "https://b.openai.azure.com", api_key: os.environ/AZURE_US, api_version: "2026-05-01", rpm: 20 }
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, order: 2, timeout: 30, stream_timeout: 5, max_retries: 2 }
  - model_name: claude
    litellm_params: { model: claude-sonnet-4-5, api_key: sk-ant-PLANTED-SECRET }
  - model_name: local
    litellm_params: { model: openai/llama, api_base: "http://127.0.0.1:8000/v1", temperature: 0.1, input_cost_per_token: 0.0000004, output_cost_per_token: 0.0000008 }
  - model_name: "anthropic/*"
    litellm_params: { model: "anthropic/*" }
  - model_name: odd
    litellm_params: { model: sagemaker/endpoint }
litellm_settings:
  cache: true
  cache_params: { type: redis, ttl: 600 }
  callbacks: [langfuse]
  context_window_fallbacks: [{ "gpt-4o": ["claude"] }]
router_settings:
  routing_strategy: least-busy
  num_retries: 3
  fallbacks: [{ "gpt-4o": ["claude", "nowhere"] }]
  model_group_alias: { "fast": "local" }
general_settings:
  master_key: sk-1234-PLANTED-SECRET
  alerting: [slack]
"""


def run(tmp_path: Path, text: str, *more: str) -> tuple[int, str]:
    source = tmp_path / "config.yaml"
    source.write_text(text, encoding="utf-8")
    out = tmp_path / "santral.toml"
    result = CliRunner().invoke(
        full_app(), ["import", "litellm", str(source), "--out", str(out), *more]
    )
    return result.exit_code, result.output + str(result.exception or "")


@pytest.fixture
def imported(tmp_path: Path) -> tuple[LoadedConfig, str]:
    status, output = run(tmp_path, EVERYTHING)
    assert status == 0, output
    return load(tmp_path / "santral.toml", os.environ), output


def test_groups_become_routes_with_order_weights_and_fallbacks(
    imported: tuple[LoadedConfig, str],
) -> None:
    config = imported[0].config
    route = config.routes["gpt-4o"]
    assert [rung.deployments for rung in route.ladder] == [
        {"gpt-4o-1": 60.0, "gpt-4o-2": 20.0},
        {"gpt-4o-3": 1.0},
        {"claude-4": 1.0},
    ]
    assert route.on_context_window == ["claude-4"]
    assert (route.strategy, route.retries) == ("least_busy", 3)
    assert (route.cache.enabled, route.cache.ttl_s) == (True, 600.0)
    assert config.routes["fast"].ladder == config.routes["local"].ladder


def test_models_become_deployments_at_their_providers(imported: tuple[LoadedConfig, str]) -> None:
    config = imported[0].config
    kinds = {
        name: config.providers[deployment.provider].kind
        for name, deployment in config.deployments.items()
        if deployment.provider != "local"  # always there
    }
    assert kinds == {
        "gpt-4o-1": "azure",
        "gpt-4o-2": "azure",
        "gpt-4o-3": "openai",
        "claude-4": "anthropic",
        "local-5": "openai-compatible",
    }
    first, third = config.deployments["gpt-4o-1"], config.deployments["gpt-4o-3"]
    assert (first.model, first.price) == ("my-gpt-4o", "openai/gpt-4o")
    assert config.providers[first.provider].api_version == "2026-05-01"
    assert (third.timeouts.total_s, third.timeouts.first_delta_s, third.retries) == (30, 5, 2)


def test_prices_are_kept(imported: tuple[LoadedConfig, str]) -> None:
    file = imported[0].config.prices.file
    assert file is not None
    usage = Usage(input_uncached=1_000_000, output_text=1_000_000)
    cost = PriceBook.load(file).cost("openai-compatible", "llama", usage, 1_800_000_000_000_000)
    assert cost.nanousd == 1_200_000_000


def test_what_was_not_converted_is_said(imported: tuple[LoadedConfig, str]) -> None:
    output = imported[1]
    for words in (
        "model_list.5 (anthropic/*): a wildcard names no model",
        "the provider of 'sagemaker/endpoint' is not one of Santral's",
        "model_list.4 (local).temperature",
        "there is no group 'nowhere'",
        "litellm_settings.callbacks",
        "general_settings.master_key",
        "general_settings.alerting",
        "a secret stands in the file",
        "Set in the environment: AZURE_EU, AZURE_US, OPENAI_API_KEY, CLAUDE_3_KEY",
    ):
        assert words in output, words
    assert "routing_strategy" not in output


def test_no_secret_is_copied(imported: tuple[LoadedConfig, str], tmp_path: Path) -> None:
    written = (tmp_path / "santral.toml").read_text() + (tmp_path / "prices.toml").read_text()
    assert "PLANTED-SECRET" not in written + imported[1]


def test_a_file_that_is_there_is_not_written_over(
    imported: tuple[LoadedConfig, str], tmp_path: Path
) -> None:
    before = (tmp_path / "santral.toml").read_bytes()
    status, output = run(tmp_path, EVERYTHING)
    assert status == 1
    assert "is there already" in output
    assert (tmp_path / "santral.toml").read_bytes() == before
    assert run(tmp_path, EVERYTHING, "--force")[0] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_list: [", "cannot be read"),
        ("- a", "no configuration of LiteLLM"),
        ("model_list: 3", "model_list must be a list"),
        ("model_list: [3]", "model_list.0"),
        ("model_list: [{model_name: a, litellm_params: {x: 1}}]", "litellm_params.model"),
        ("model_list: []", "no model of it can be converted"),
        ("router_settings: [1]", "router_settings must hold settings"),
        ("model_list: [{model_name: 'a/*', litellm_params: {model: 'a/*'}}]", "a wildcard"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(
    tmp_path: Path, text: str, words: str
) -> None:
    status, output = run(tmp_path, text)
    assert status == 1
    assert words in output
    assert not (tmp_path / "santral.toml").exists()


def test_odd_names_make_a_configuration_that_loads(tmp_path: Path) -> None:
    text = """
model_list:
  - model_name: "my model (új) 🙂"
    litellm_params: { model: "groq/llama \\"3\\"" }
"""
    status, output = run(tmp_path, text)
    assert status == 0, output
    config = load(tmp_path / "santral.toml", os.environ).config
    assert 'llama "3"' in [d.model for d in config.deployments.values()]


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        full_app(), ["import", "litellm", str(tmp_path / "no.yaml")], catch_exceptions=True
    )
    assert isinstance(result.exception, ConfigError)
    assert "no.yaml" in result.exception.message

"""Who can be called: one row per vendor or engine, its quirks as data."""

from __future__ import annotations

from collections.abc import Callable

from santral.config.upstreams import ProviderConfig
from santral.errors import ConfigError, nearest
from santral.providers.connection import Connection, connect_to
from santral.providers.openai import OpenAIProvider
from santral.providers.provider import Provider
from santral.providers.upstream import UpstreamClient
from santral.providers.vendor import Vendor

#: OpenAI's reasoning models refuse the older name of the output limit; many imitators know no other.
_NEW_LIMIT = "max_completion_tokens"
_MAX_TOKENS = {"max_completion_tokens": "max_tokens"}


def _rows(*vendors: Vendor) -> dict[str, Vendor]:
    return {vendor.kind: vendor for vendor in vendors}


#: Sources: each vendor's API reference, as of 2026-11. Ports are the engines' own defaults.
VENDORS: dict[str, Vendor] = _rows(
    Vendor(
        kind="local",
        title="Santral's embedded answerer",
        dialect="local",
        auth="none",
        needs_question=True,
    ),
    Vendor(
        kind="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        output_limit=_NEW_LIMIT,
    ),
    Vendor(
        kind="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        output_limit=_NEW_LIMIT,
    ),
    Vendor(kind="together", title="Together AI", base_url="https://api.together.xyz/v1"),
    Vendor(
        kind="fireworks", title="Fireworks AI", base_url="https://api.fireworks.ai/inference/v1"
    ),
    Vendor(
        kind="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        renames=_MAX_TOKENS,
    ),
    Vendor(kind="xai", title="xAI", base_url="https://api.x.ai/v1", output_limit=_NEW_LIMIT),
    Vendor(kind="openrouter", title="OpenRouter", base_url="https://openrouter.ai/api/v1"),
    Vendor(
        kind="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai",
        asks_usage=False,
        renames=_MAX_TOKENS,
    ),
    Vendor(kind="nvidia", title="NVIDIA NIM", base_url="https://integrate.api.nvidia.com/v1"),
    Vendor(
        kind="mistral",
        title="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        asks_usage=False,
        renames={**_MAX_TOKENS, "seed": "random_seed"},
    ),
    Vendor(kind="vllm", title="vLLM", base_url="http://127.0.0.1:8000/v1", auth="optional"),
    Vendor(kind="sglang", title="SGLang", base_url="http://127.0.0.1:30000/v1", auth="optional"),
    Vendor(
        kind="llamacpp",
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        auth="optional",
    ),
    Vendor(
        kind="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        auth="optional",
        renames=_MAX_TOKENS,
    ),
    Vendor(
        kind="lmstudio", title="LM Studio", base_url="http://127.0.0.1:1234/v1", auth="optional"
    ),
    Vendor(kind="localai", title="LocalAI", base_url="http://127.0.0.1:8080/v1", auth="optional"),
    Vendor(kind="openai-compatible", title="Any server that speaks OpenAI chat", auth="optional"),
)


def build_provider(
    name: str,
    config: ProviderConfig,
    client: UpstreamClient,
    local_factory: Callable[[], Provider] | None = None,
) -> Provider:
    """Return the provider that ``[providers.<name>]`` declares, its key read once, now.

    Raises:
        ConfigError: unknown kind (the nearest is named), no or unusable address, no key.
    """
    vendor = VENDORS.get(config.kind)
    if vendor is None:
        raise ConfigError(
            f"providers.{name}.kind: unknown kind '{config.kind}'.{nearest(config.kind, VENDORS)}"
        )
    if vendor.dialect == "local":
        if local_factory is None:
            raise ConfigError(f"providers.{name}.kind: 'local' is not available here.")
        return local_factory()
    return DIALECTS[vendor.dialect](connect_to(name, config, vendor, client))


def _openai(connection: Connection) -> Provider:
    vendor = connection.vendor
    return OpenAIProvider(
        connection.client,
        f"{connection.base_url}/chat/completions",
        connection.headers,
        secret=connection.secret,
        asks_usage=vendor.asks_usage,
        renames=vendor.renames,
        output_limit=vendor.output_limit,
    )


#: Dialects out: how each one is built. A dialect is one file; this is its line.
DIALECTS: dict[str, Callable[[Connection], Provider]] = {
    "openai": _openai,
}

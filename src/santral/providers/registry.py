"""Who can be called: one row per vendor or engine, its quirks as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from santral.config.schema import ProviderConfig
from santral.errors import ConfigError, nearest
from santral.providers.openai import OpenAIProvider
from santral.providers.provider import Provider
from santral.providers.upstream import UpstreamClient

USER_AGENT = "santral"


class Vendor(Struct, frozen=True, kw_only=True):
    """One provider kind. An OpenAI-compatible one is a row; another dialect is a file and a row."""

    kind: str
    title: str
    dialect: Literal["openai", "local"] = "openai"
    base_url: str = ""  # empty: the configuration has to say it
    auth: Literal["bearer", "optional", "none"] = "bearer"
    asks_usage: bool = True  # takes stream_options.include_usage; others send usage unasked
    renames: Mapping[str, str] = field(default_factory=dict[str, str])  # our field name -> its own
    needs_question: bool = False  # answers the question itself, and is given it apart
    output_limit: str = "max_tokens"  # the field that bounds the output where a client sets none


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
    secret = _secret(name, config, vendor)
    return OpenAIProvider(
        client,
        f"{_base_url(name, config, vendor)}/chat/completions",
        _headers(config, secret),
        secret=secret,
        asks_usage=vendor.asks_usage,
        renames=vendor.renames,
        output_limit=vendor.output_limit,
    )


def _secret(name: str, config: ProviderConfig, vendor: Vendor) -> str:
    if config.api_key is not None:
        secret = config.api_key.reveal()
        # A line feed in a key would let it write headers; one at the end is a careless file.
        if not secret.isascii() or not secret.isprintable():
            raise ConfigError(f"providers.{name}.api_key: holds characters no header may carry.")
        return secret
    has_own = any(header.lower() in ("authorization", "api-key") for header in config.headers)
    if vendor.auth == "bearer" and not has_own:
        raise ConfigError(
            f"providers.{name}.api_key: {vendor.title} needs a key; give it by reference, "
            "for example env:PROVIDER_API_KEY."
        )
    return ""


def _base_url(name: str, config: ProviderConfig, vendor: Vendor) -> str:
    url = (config.base_url or vendor.base_url).rstrip("/")
    place = f"providers.{name}.base_url"
    if not url:
        raise ConfigError(f"{place}: '{vendor.kind}' has no address of its own; set one.")
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigError(f"{place}: '{url}' is not a URL.") from None
    if not is_sound:
        raise ConfigError(f"{place}: '{url}' must begin with http:// or https:// and name a host.")
    if parts.username or parts.password:
        raise ConfigError(f"{place}: put the credential into api_key, not into the URL.")
    if parts.query or parts.fragment:
        raise ConfigError(f"{place}: '{url}' must not hold '?' or '#'.")
    return url


def _headers(config: ProviderConfig, secret: str) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        # Compressing saves nothing on a few kilobytes and holds deltas back.
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
    }
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    return headers | {header.lower(): value for header, value in config.headers.items()}

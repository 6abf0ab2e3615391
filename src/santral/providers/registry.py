"""Who can be called: one row per vendor or engine, its quirks as data."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from santral.config.upstreams import ProviderConfig
from santral.errors import ConfigError, nearest
from santral.providers.batch.anthropic import AnthropicBatches
from santral.providers.batch.gemini import GeminiBatches
from santral.providers.batch.interface import Maker
from santral.providers.batch.openai import OpenAIBatches
from santral.providers.cloud_vendors import CLOUD_VENDORS
from santral.providers.connection import Connection, connect_to
from santral.providers.keys import KeyRotation
from santral.providers.openai.engines import NATIVE_ENGINES, OPENAI_ENGINES
from santral.providers.openai.provider import OpenAIProvider
from santral.providers.openai.vendors import COHERE, OPENAI_VENDORS
from santral.providers.provider import Provider
from santral.providers.tasks.tasked import TasksAlone, with_tasks
from santral.providers.tasks.vendors import TASK_VENDORS
from santral.providers.upstream import UpstreamClient
from santral.providers.vendor import CHAT, Vendor, can

_RESPONSES = CHAT | can("files", "reasoning", "logprobs", "prompt_cache")


def _rows(*vendors: Vendor) -> dict[str, Vendor]:
    return {vendor.kind: vendor for vendor in vendors}


#: Every kind. Those of the OpenAI dialect are in ``openai/vendors.py`` and ``openai/engines.py``.
VENDORS: dict[str, Vendor] = _rows(
    Vendor(
        kind="local",
        title="Santral's embedded answerer",
        dialect="local",
        auth="none",
        needs_question=True,
    ),
    Vendor(
        kind="anthropic",
        title="Anthropic",
        dialect="anthropic",
        base_url="https://api.anthropic.com/v1",
        key_header="x-api-key",
        capabilities=CHAT - {"json_object"} | can("files", "reasoning", "prompt_cache"),
        reference="https://platform.claude.com/docs/en/api/messages",
    ),
    Vendor(
        kind="openai-responses",
        title="OpenAI, by its Responses protocol",
        dialect="responses",
        base_url="https://api.openai.com/v1",
        capabilities=_RESPONSES,
        reference="https://platform.openai.com/docs/api-reference/responses",
    ),
    Vendor(
        kind="azure-responses",
        title="Azure OpenAI, by the Responses protocol (base_url ends in /openai/v1)",
        dialect="responses",
        key_header="api-key",
        capabilities=_RESPONSES,
        reference="https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses",
    ),
    *OPENAI_VENDORS,
    COHERE,
    *OPENAI_ENGINES,
    *NATIVE_ENGINES,
    *TASK_VENDORS,
    *CLOUD_VENDORS,
)


def build_provider(
    name: str,
    config: ProviderConfig,
    client: UpstreamClient,
    local_factory: Callable[[], Provider] | None = None,
    rotations: dict[str, KeyRotation] | None = None,
) -> Provider:
    """Return the provider that ``[providers.<name>]`` declares, its keys read once, now.

    Its keys are put into ``rotations`` under its name, for whoever shows their state.

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
    connection = connect_to(name, config, vendor, client)
    if rotations is not None:
        rotations[name] = connection.keys
    return with_tasks(DIALECTS[vendor.dialect](connection), connection)


#: Who has batches of its own, and how they are spoken to.
BATCHES: dict[str, Maker] = {
    "openai": OpenAIBatches,
    "openai-responses": OpenAIBatches,
    "groq": OpenAIBatches,
    "anthropic": AnthropicBatches,
    "gemini": GeminiBatches,
}


def _later(module: str, name: str) -> Callable[[Connection], Provider]:
    """Return how to build a dialect whose module is imported when a configuration first names it.

    Measured: all of them are a tenth of what a worker imports, and most workers need one.
    """

    def build(connection: Connection) -> Provider:
        provider: Provider = getattr(import_module(f"santral.providers.{module}"), name)(connection)
        return provider

    return build


#: Dialects out: how each one is built. A dialect is a folder; this is its line.
DIALECTS: dict[str, Callable[[Connection], Provider]] = {
    "anthropic": _later("anthropic.provider", "AnthropicProvider"),
    "azure": _later("openai.azure", "AzureProvider"),
    "bedrock": _later("bedrock.provider", "BedrockProvider"),
    "cohere": _later("cohere.provider", "CohereProvider"),
    "gemini": _later("gemini.provider", "GeminiProvider"),
    "ollama": _later("ollama.provider", "OllamaProvider"),
    "openai": OpenAIProvider,
    "responses": _later("responses.provider", "ResponsesProvider"),
    "tasks": lambda connection: TasksAlone(connection.base_url),
    "triton": _later("triton", "TritonProvider"),
    "vertex": _later("gemini.provider", "VertexProvider"),
}

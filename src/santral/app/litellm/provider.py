"""Which provider a LiteLLM model is asked at, and how it is signed in there."""

from __future__ import annotations

import re

from msgspec import Struct, field

from santral.app.litellm.read import ModelEntry, Settings, table

#: LiteLLM's prefixes -> our kinds. Source: https://docs.litellm.ai/docs/providers
KINDS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "bedrock",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "gemini",
    "groq": "groq",
    "hosted_vllm": "vllm",
    "huggingface": "tgi",
    "jina_ai": "jina",
    "litellm_proxy": "openai-compatible",
    "llamafile": "llamacpp",
    "lm_studio": "lmstudio",
    "mistral": "mistral",
    "nvidia_nim": "nvidia",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "openai": "openai",
    "openai_like": "openai-compatible",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "triton": "triton",
    "vertex_ai": "vertex",
    "vllm": "vllm",
    "voyage": "voyage",
    "xai": "xai",
}
#: Models that LiteLLM knows without a prefix.
BARE = (
    (re.compile(r"gpt-|o\d|chatgpt|text-embedding|omni-moderation|davinci|babbage"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gemini"), "gemini"),
    (re.compile(r"command|embed-(?:english|multilingual)|rerank"), "cohere"),
    (re.compile(r"mistral|mixtral|codestral"), "mistral"),
)
#: Where LiteLLM looks for a key that the configuration does not name.
KEYS = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_API_KEY",
    "cohere": "COHERE_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "jina": "JINA_AI_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "nvidia": "NVIDIA_NIM_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "perplexity": "PERPLEXITYAI_API_KEY",
    "together": "TOGETHERAI_API_KEY",
    "voyage": "VOYAGE_API_KEY",
    "xai": "XAI_API_KEY",
}
#: Settings of a provider that are no secrets.
_PLAIN = (
    ("api_version", "api_version"),
    ("aws_region_name", "region"),
    ("region_name", "region"),
    ("vertex_location", "region"),
    ("vertex_project", "project"),
)
_SECRET = (
    ("aws_access_key_id", "access_key_id"),
    ("aws_secret_access_key", "secret_access_key"),
    ("aws_session_token", "session_token"),
)
#: Kinds whose calls are signed with something else than a key.
_OTHERWISE_SIGNED = frozenset({"bedrock", "vertex"})


class Converted(Struct, kw_only=True):
    """Tables of a santral.toml by name, rows of a price file, and what could not be converted."""

    providers: dict[str, Settings] = field(default_factory=dict[str, Settings])
    deployments: dict[str, Settings] = field(default_factory=dict[str, Settings])
    routes: dict[str, Settings] = field(default_factory=dict[str, Settings])
    prices: list[Settings] = field(default_factory=list[Settings])
    left: list[str] = field(default_factory=list[str])  # what was not converted, and why
    keys: list[str] = field(default_factory=list[str])  # environment variables to set

    def leave(self, place: str, reason: str) -> None:
        self.left.append(f"{place}: {reason}")


def kind_of(entry: ModelEntry) -> tuple[str, str]:
    model = str(entry.params["model"])
    custom = entry.params.get("custom_llm_provider")
    prefix, _, rest = model.partition("/")
    if isinstance(custom, str):
        prefix, rest = custom, model
    if prefix in KINDS and rest:
        kind = KINDS[prefix]
    else:
        kind = next((kind for pattern, kind in BARE if pattern.match(model)), "")
        rest = model
    if kind == "openai" and _base(entry) and "api.openai.com" not in _base(entry):
        kind = "openai-compatible"
    if kind == "bedrock":
        rest = rest.removeprefix("converse/").removeprefix("invoke/")
    return kind, rest


def _base(entry: ModelEntry) -> str:
    return str(entry.params.get("api_base") or entry.params.get("base_url") or "")


def provider_of(made: Converted, entry: ModelEntry, kind: str) -> str:
    params = entry.params
    settings: Settings = {"kind": kind}
    if _base(entry):
        settings["base_url"] = _plain(made, _base(entry), f"model_list.{entry.number}.api_base")
    if (params.get("api_key") or kind in KEYS) and kind not in _OTHERWISE_SIGNED:
        settings["api_key"] = _reference(made, entry, params.get("api_key"), KEYS.get(kind, ""))
    for theirs, ours in _PLAIN:
        if params.get(theirs):
            place = f"model_list.{entry.number}.{theirs}"
            settings[ours] = _plain(made, str(params[theirs]), place)
    for theirs, ours in _SECRET:
        if params.get(theirs):
            settings[ours] = _reference(made, entry, params[theirs], theirs.upper())
    if isinstance(params.get("vertex_credentials"), str):
        settings["credentials"] = f"file:{params['vertex_credentials']}"
    if table(params.get("extra_headers")):
        settings["headers"] = params["extra_headers"]
    return _kept(made, kind, settings)


def _kept(made: Converted, kind: str, settings: Settings) -> str:
    """Return the name of a provider with these settings, made where there is none."""
    for name, known in made.providers.items():
        if known == settings:
            return name
    name = free_name(made.providers, kind)
    made.providers[name] = settings
    return name


def _reference(made: Converted, entry: ModelEntry, given: object, usual: str) -> str:
    """Return a reference to a secret; one that stands in the file itself is not copied."""
    secret = str(given or "")
    if secret.startswith("os.environ/"):
        name = secret.removeprefix("os.environ/")
    elif not secret:
        name = usual
    else:
        name = f"{re.sub(r'[^A-Z0-9]+', '_', entry.group.upper())}_{entry.number}_KEY"
        made.leave(
            f"model_list.{entry.number} ({entry.group})",
            f"a secret stands in the file; it was not copied: put it into the variable {name}",
        )
    if name not in made.keys:
        made.keys.append(name)
    return f"env:{name}"


def _plain(made: Converted, value: str, place: str) -> str:
    """Return a setting that is no secret; Santral's file holds those written out."""
    if value.startswith("os.environ/"):
        made.leave(place, f"is read from {value}; write the value itself into santral.toml")
    return value


def clean_name(text: str) -> str:
    """Return a name that a configuration takes."""
    return re.sub(r"[^A-Za-z0-9._/:@-]+", "-", text).lstrip("._/:@-")[:128] or "model"


def free_name(taken: dict[str, Settings], name: str) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found

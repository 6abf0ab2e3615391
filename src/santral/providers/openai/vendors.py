"""Vendors that speak OpenAI's chat completions, each with its quirks and where they are written down.

A quirk here was refused or ignored by the vendor itself; what a single model lacks is no quirk.
"""

from __future__ import annotations

from santral.providers.vendor import CHAT, SAMPLING, Vendor, can

#: OpenAI's reasoning models refuse the older name of the output limit; many imitators know no other.
NEW_LIMIT = "max_completion_tokens"
MAX_TOKENS = {"max_completion_tokens": "max_tokens"}

#: A role that OpenAI added in 2024 and whose meaning everywhere else is that of ``system``.
NO_DEVELOPER = {"developer": "system"}

_OPENAI = CHAT | can("audio_in", "files", "reasoning", "logprobs", "n")

#: What of earlier reasoning vendors of other formats may find in a message.
_REASONING = frozenset({"reasoning_content", "reasoning_details"})

#: What other vendors signed goes back to nobody but them.
_SIGNED = frozenset({"reasoning_details", "extra_content"})

#: A vendor of a dialect of its own, which has its files.
COHERE = Vendor(
    kind="cohere",
    title="Cohere",
    dialect="cohere",
    base_url="https://api.cohere.com",
    reference="https://docs.cohere.com/v2/reference/chat",
    capabilities=CHAT | can("reasoning"),
    models_path="/v1/models",
    notes=("takes documents and gives citations", "bills fewer tokens than it counts"),
)

OPENAI_VENDORS: tuple[Vendor, ...] = (
    Vendor(
        kind="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        reference="https://platform.openai.com/docs/api-reference/chat/create",
        capabilities=_OPENAI,
        output_limit=NEW_LIMIT,
        refuses=_SIGNED,
    ),
    Vendor(
        kind="azure",
        title="Azure OpenAI",
        dialect="azure",
        reference="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
        key_header="api-key",
        capabilities=_OPENAI,
        output_limit=NEW_LIMIT,
        refuses=_SIGNED,
    ),
    Vendor(
        kind="gemini-openai",
        title="Google Gemini, OpenAI endpoint",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        # Signatures of thoughts stand in extra_content of tool calls and have to come back:
        # https://ai.google.dev/gemini-api/docs/thought-signatures
        reference="https://ai.google.dev/gemini-api/docs/openai",
        capabilities=CHAT | can("audio_in", "reasoning", "n"),
        roles=NO_DEVELOPER,
        refuses=frozenset({"reasoning_details"}),
        takes_signatures=True,
    ),
    Vendor(
        kind="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        # "Currently unsupported OpenAI features": a 400 for each of these, and for n above 1.
        reference="https://console.groq.com/docs/openai",
        capabilities=CHAT | can("reasoning"),
        output_limit=NEW_LIMIT,
        drops=dict.fromkeys(("logprobs", "top_logprobs", "logit_bias"), "Groq answers 400 to it"),
        max_n=1,
        # "property 'reasoning_content' is unsupported" (github.com/janhq/jan/issues/8136); its own
        # name for it: groq 1.7.0, chat_completion_assistant_message_param.py.
        refuses=_REASONING | {"cache_control", "extra_content", "is_error", "name"},
        reasoning_field="reasoning",
    ),
    Vendor(
        kind="together",
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        reference="https://docs.together.ai/reference/chat-completions-1",
        capabilities=CHAT | can("reasoning", "logprobs", "n"),
        takes=SAMPLING,
        roles=NO_DEVELOPER,
        refuses=_SIGNED,
    ),
    Vendor(
        kind="fireworks",
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        reference="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        capabilities=CHAT | can("reasoning", "logprobs", "n"),
        takes=SAMPLING,
        roles=NO_DEVELOPER,
        # Cache markers, as every field it does not know, are "Extra inputs are not permitted":
        # see github.com/musistudio/claude-code-router/issues/377
        refuses=frozenset({"cache_control", "extra_content", "is_error", "reasoning_details"}),
        reasoning_field="reasoning_content",
    ),
    Vendor(
        kind="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        reference="https://api-docs.deepseek.com/api/create-chat-completion",
        capabilities=can("tools", "parallel_tools", "json_object", "reasoning", "logprobs", "streaming"),
        renames=MAX_TOKENS,
        # "unknown variant `developer`" (github.com/decolua/9router/issues/773)
        roles=NO_DEVELOPER,
        max_n=1,
        # A 400 without it: https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
        reasoning_field="reasoning_content",
        refuses=_SIGNED,
    ),
    Vendor(
        kind="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        reference="https://docs.x.ai/docs/api-reference#chat-completions",
        capabilities=CHAT | can("reasoning", "logprobs", "n"),
        output_limit=NEW_LIMIT,
        drops={"logit_bias": "xAI does not support it"},
        refuses=_SIGNED,
    ),
    Vendor(
        kind="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        # Reasoning, its details and cache markers go on to the vendor behind it.
        reference="https://openrouter.ai/docs/use-cases/reasoning-tokens",
        capabilities=CHAT | can("audio_in", "files", "reasoning", "logprobs"),
        takes=SAMPLING | {"top_a"},
        reasoning_field="reasoning",
        takes_details=True,
        takes_cache_control=True,
    ),
    Vendor(
        kind="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai",
        reference="https://docs.perplexity.ai/api-reference/chat-completions-post",
        capabilities=can("json_schema", "vision", "reasoning", "streaming"),
        models_path="",
        asks_usage=False,
        renames=MAX_TOKENS,
        roles=NO_DEVELOPER,
        max_n=1,
        drops=dict.fromkeys(
            ("tools", "tool_choice", "parallel_tool_calls", "logit_bias", "seed"),
            "not among Perplexity's parameters",
        ),
        refuses=_SIGNED,
    ),
    Vendor(
        kind="nvidia",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        reference="https://docs.nvidia.com/nim/large-language-models/latest/api-reference.html",
        capabilities=CHAT | can("reasoning", "logprobs", "n"),
        takes=SAMPLING,
        roles=NO_DEVELOPER,
        refuses=_SIGNED,
    ),
    Vendor(
        kind="mistral",
        title="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        # Every field it does not know is a 422 "extra_forbidden": the fields it knows are those of
        # mistralai 3.7.0, chatcompletionrequest.py and assistantmessage.py.
        reference="https://docs.mistral.ai/api/#tag/chat",
        capabilities=CHAT | can("audio_in", "files", "reasoning", "logprobs", "n"),
        asks_usage=False,
        renames={**MAX_TOKENS, "seed": "random_seed"},
        takes=frozenset({"top_k", "repetition_penalty"}),
        drops=dict.fromkeys(
            ("logit_bias", "user", "store", "service_tier", "verbosity", "prompt_cache_key",
             "prompt_cache_retention", "safety_identifier", "modalities", "audio",
             "web_search_options", "functions", "function_call"),
            "Mistral answers 422 to fields it does not know",
        ),
        roles=NO_DEVELOPER,
        # github.com/BerriAI/litellm/issues/30835
        refuses=_REASONING
        | {"reasoning", "refusal", "annotations", "audio", "cache_control", "extra_content",
           "is_error"},
    ),
)  # fmt: skip

"""Engines that people run themselves and that speak OpenAI's chat completions.

Ports are the engines' own defaults. Chat templates of open models know no role ``developer`` and
fail on it, or leave the message out: it goes as ``system`` to every one of them.
"""

from __future__ import annotations

from santral.providers.openai.vendors import MAX_TOKENS, NO_DEVELOPER
from santral.providers.vendor import CHAT, SAMPLING, Vendor, can

_ALL = CHAT | can("reasoning", "logprobs", "n")
_IGNORED = "transformers serve ignores it"

#: Engines of other dialects, each with its file.
NATIVE_ENGINES: tuple[Vendor, ...] = (
    Vendor(
        kind="ollama",
        title="Ollama",
        dialect="ollama",
        base_url="http://127.0.0.1:11434",
        auth="optional",
        reference="https://github.com/ollama/ollama/blob/main/docs/api.md",
        capabilities=_ALL - can("n"),
        models_path="/api/tags",
        notes=("takes options.num_ctx and keep_alive", "cuts prompts longer than num_ctx"),
    ),
    Vendor(
        kind="triton",
        title="Triton generate, TensorRT-LLM",
        dialect="triton",
        base_url="http://127.0.0.1:8000",
        auth="optional",
        reference="https://github.com/triton-inference-server/server/blob/main/docs/protocol/"
        "extension_generate.md",
        capabilities=can("streaming"),
        models_path="",
        notes=("the prompt is composed from the messages", "usage is estimated"),
    ),
    Vendor(
        kind="triton-vllm",
        title="Triton generate, vLLM backend",
        dialect="triton",
        base_url="http://127.0.0.1:8000",
        auth="optional",
        reference="https://github.com/triton-inference-server/vllm_backend/blob/main/README.md",
        capabilities=can("streaming"),
        models_path="",
        notes=("the prompt is composed from the messages", "usage is estimated"),
    ),
)

OPENAI_ENGINES: tuple[Vendor, ...] = (
    Vendor(
        kind="vllm",
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        auth="optional",
        # Pydantic fields without None refuse null, so what is null is left out.
        reference="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        capabilities=_ALL | can("audio_in"),
        takes=SAMPLING,
        strict_nulls=True,
        roles=NO_DEVELOPER,
        # https://docs.vllm.ai/en/latest/features/reasoning_outputs.html ("reasoning")
        reasoning_field="reasoning",
    ),
    Vendor(
        kind="sglang",
        title="SGLang",
        base_url="http://127.0.0.1:30000/v1",
        auth="optional",
        # Its deltas hold every field, null where it says nothing (entrypoints/openai/protocol.py).
        reference="https://docs.sglang.ai/basic_usage/openai_api_completions.html",
        null_roles=True,
        capabilities=_ALL,
        takes=SAMPLING,
        strict_nulls=True,
        roles=NO_DEVELOPER,
        reasoning_field="reasoning_content",
    ),
    Vendor(
        kind="tgi",
        title="Text Generation Inference",
        base_url="http://127.0.0.1:8080/v1",
        auth="optional",
        # Errors are flat: {"error": ..., "error_type": ...}, with 422, 424 and 429.
        reference="https://huggingface.co/docs/text-generation-inference/reference/api_reference",
        capabilities=can("streaming", "tools", "json_schema", "json_object", "vision", "logprobs"),
        renames=MAX_TOKENS,
        roles=NO_DEVELOPER,
        max_n=1,
    ),
    Vendor(
        kind="triton-openai",
        title="Triton, OpenAI frontend",
        base_url="http://127.0.0.1:9000/v1",
        auth="optional",
        # "Usage is only supported for vLLM models": an estimate stands in where none comes.
        reference="https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/"
        "client_guide/openai_readme.html",
        capabilities=can("streaming", "tools", "json_schema", "json_object", "logprobs"),
        renames=MAX_TOKENS,
        roles=NO_DEVELOPER,
        max_n=1,
        strict_nulls=True,
    ),
    Vendor(
        kind="tensorrt-llm",
        title="TensorRT-LLM (trtllm-serve)",
        base_url="http://127.0.0.1:8000/v1",
        auth="optional",
        reference="https://nvidia.github.io/TensorRT-LLM/commands/trtllm-serve/trtllm-serve.html",
        capabilities=_ALL,
        takes=SAMPLING,
        strict_nulls=True,
        roles=NO_DEVELOPER,
    ),
    Vendor(
        kind="llamacpp",
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        auth="optional",
        # 503 while the model loads; timings ride through; tools in a stream need --jinja.
        reference="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        capabilities=_ALL - can("n") | can("audio_in"),
        takes=SAMPLING,
        roles=NO_DEVELOPER,
        reasoning_field="reasoning_content",
    ),
    Vendor(
        kind="ollama-openai",
        title="Ollama, OpenAI endpoint",
        base_url="http://127.0.0.1:11434/v1",
        auth="optional",
        # It ignores num_ctx and cuts longer prompts without a word: the native dialect can set it.
        reference="https://docs.ollama.com/api/openai-compatibility",
        capabilities=_ALL - can("n", "logprobs"),
        renames=MAX_TOKENS,
        roles=NO_DEVELOPER,
        max_n=1,
        reasoning_field="reasoning",
    ),
    Vendor(
        kind="lmstudio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        auth="optional",
        # It answers 400 to json_object and takes json_schema and text alone:
        # see github.com/lmstudio-ai/lmstudio-bug-tracker/issues/189
        reference="https://lmstudio.ai/docs/app/api/endpoints/openai",
        capabilities=can("streaming", "tools", "json_schema", "vision", "reasoning"),
        takes=SAMPLING,
        roles=NO_DEVELOPER,
        max_n=1,
    ),
    Vendor(
        kind="transformers",
        title="transformers serve",
        base_url="http://127.0.0.1:8000/v1",
        auth="optional",
        # UNUSED_CHAT_COMPLETION_FIELDS in transformers/cli/serving/chat_completion.py (5.23); a null
        # among tool_calls is a 500 of it, a field it does not know a 422.
        reference="https://huggingface.co/docs/transformers/serve-cli/serving",
        capabilities=can("streaming", "tools", "parallel_tools", "vision", "audio_in", "reasoning"),
        asks_usage=False,
        strict_nulls=True,
        roles=NO_DEVELOPER,
        max_n=1,
        drops=dict.fromkeys(
            (
                "logprobs",
                "parallel_tool_calls",
                "presence_penalty",
                "reasoning_effort",
                "response_format",
                "tool_choice",
                "top_logprobs",
            ),
            _IGNORED,
        ),
    ),
    Vendor(
        kind="localai",
        title="LocalAI",
        base_url="http://127.0.0.1:8080/v1",
        auth="optional",
        reference="https://localai.io/features/text-generation/",
        capabilities=_ALL,
        takes=frozenset({"top_k"}),
        roles=NO_DEVELOPER,
    ),
    Vendor(
        kind="openai-compatible",
        title="Any server that speaks OpenAI chat",
        auth="optional",
    ),
)

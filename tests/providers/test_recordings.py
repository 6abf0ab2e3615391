"""Every vendor's recorded answers: the same deltas under any split, the right text, usage and end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing, suppress
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests.replay import RECORDINGS, Replay, recording
from tests.stream_checker import check_chat_stream

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import (
    ContentPolicyRefused,
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderUnreachable,
)
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import connect_to
from santral.providers.openai.answer import read_whole
from santral.providers.openai.chunk import ChunkReader
from santral.providers.provider import Provider, ProviderCall
from santral.providers.registry import DIALECTS, VENDORS
from santral.providers.translated import AnswerReader, TranslatedProvider
from santral.wire.delta import Delta, ToolCallDelta
from santral.wire.render import chunk, fold, usage_chunk
from santral.wire.sse import DONE, encode_event
from santral.wire.usage import Usage

KEY = "sk-canary-0123456789abcdef"
MODEL = "model"
PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)
FIELDS: dict[str, Any] = {"messages": [Raw(b'{"role":"user","content":"Hi"}')]}

#: Where each dialect is asked, whole and streamed.
PATHS = {
    "openai": ("/v1/chat/completions",) * 2,
    "azure": ("/openai/v1/chat/completions",) * 2,
    "cohere": ("/v2/chat",) * 2,
    "ollama": ("/api/chat",) * 2,
    "triton": ("/v2/models/model/generate", "/v2/models/model/generate_stream"),
}


class Case(NamedTuple):
    """A recording, and what it says."""

    kind: str
    file: str
    text: str = ""
    usage: Usage | None = None  # None: none came, and it is estimated
    finish: str = "stop"
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()

    @property
    def is_stream(self) -> bool:
        return not self.file.endswith(".json")


PARIS = ("get_weather", '{"location":"Paris"}')
SPACED = ("get_weather", '{"location": "Paris"}')
OPENAI = Usage(input_uncached=11, cache_read=8, output_text=6, reasoning=4)
DEEPSEEK = Usage(input_uncached=5, cache_read=12, output_text=3, reasoning=6)
OPENROUTER = Usage(input_uncached=16, cache_read=4, output_text=6, reasoning=5)
AZURE, MISTRAL = Usage(input_uncached=12, output_text=2), Usage(input_uncached=16, output_text=34)
GROQ, PERPLEXITY = Usage(input_uncached=18, output_text=12), Usage(input_uncached=14, output_text=7)
VLLM, TGI = Usage(input_uncached=9, output_text=5), Usage(input_uncached=37, output_text=4)
LLAMACPP, OLLAMA = (
    Usage(input_uncached=11, output_text=3),
    Usage(input_uncached=26, output_text=282),
)
XAI = Usage(input_uncached=26, cache_read=6, output_text=9, reasoning=94)
TOGETHER, FIREWORKS = (
    Usage(input_uncached=31, output_text=3),
    Usage(input_uncached=10, cache_read=4, output_text=4),
)
SGLANG, LMSTUDIO = Usage(input_uncached=20, output_text=4), Usage(input_uncached=12, output_text=2)
NVIDIA = Usage(input_uncached=15, output_text=4)
OLLAMA_OPENAI = Usage(input_uncached=9, output_text=3)
TRANSFORMERS = Usage(input_uncached=14, output_text=6)
COHERE = Usage(input_uncached=20, output_text=8)

CASES = (
    Case("openai", "openai/whole.json", "Hello! How can I assist you today?", OPENAI),
    Case("openai", "openai/stream.sse", "Hello dünya", OPENAI),
    Case("openai", "openai/tools.sse", "", OPENAI, "tool_calls", calls=(PARIS, ("get_time", "{}"))),
    Case("openai", "openai/function_call.sse", "", OPENAI, "tool_calls", calls=(PARIS,)),
    Case("openai", "openai/custom_tool.json", "", OPENAI, "tool_calls",
         calls=(("code_exec", 'print("hello world")'),)),
    Case("openai", "openai/annotated.json", "As of today it rains (source).", OPENAI),
    Case("openai", "openai/logprobs.sse", "Hello", OPENAI),
    Case("openai", "openai/audio.json", "Yes, golden retrievers are known to be good dogs.",
         Usage(input_uncached=12, input_audio=5, output_text=10, output_audio=20)),
    Case("azure", "azure/whole.json", "Hi there", AZURE),
    Case("azure", "azure/stream.sse", "Hi there", AZURE),
    Case("mistral", "mistral/whole.json", "Four.", MISTRAL, reasoning="Two and two."),
    Case("mistral", "mistral/stream.sse", "Four.", MISTRAL),
    Case("mistral", "mistral/tools.sse", "", MISTRAL, "tool_calls", calls=(SPACED,)),
    Case("groq", "groq/whole.json", "Fast models matter.", GROQ, reasoning="Say why."),
    Case("groq", "groq/stream.sse", "Fast models matter.", GROQ, reasoning="Say why."),
    Case("groq", "groq/tools.sse", "", GROQ, "tool_calls", calls=(SPACED,)),
    Case("deepseek", "deepseek/whole.json", "Hello!", DEEPSEEK, reasoning="Greet back."),
    Case("deepseek", "deepseek/stream.sse", "Hello!", DEEPSEEK, reasoning="Greet back."),
    Case("deepseek", "deepseek/tools.sse", "", DEEPSEEK, "tool_calls", calls=(PARIS,)),
    Case("perplexity", "perplexity/whole.json", "Mars is red [1].", PERPLEXITY),
    Case("perplexity", "perplexity/stream.sse", "Mars is red [1].", PERPLEXITY),
    Case("openrouter", "openrouter/whole.json", "Nine.", OPENROUTER, reasoning="3 x 3."),
    Case("openrouter", "openrouter/stream.sse", "Nine.", OPENROUTER, reasoning="3 x 3."),
    Case("openrouter", "openrouter/tools.sse", "", OPENROUTER, "tool_calls", calls=(PARIS,)),
    Case("gemini-openai", "google-openai/tools.sse", "",
         Usage(input_uncached=10, output_text=20), "tool_calls", calls=(PARIS,)),
    Case("vllm", "vllm/whole.json", "4", VLLM, reasoning="2+2"),
    Case("vllm", "vllm/stream.sse", "4", VLLM, reasoning="2+2"),
    Case("vllm", "vllm/tools.sse", "", VLLM, "tool_calls", calls=(SPACED,)),
    Case("tgi", "tgi/whole.json", "Deep learning is.", TGI, "length"),
    Case("tgi", "tgi/stream.sse", "Deep learning is.", TGI, "length"),
    Case("tgi", "tgi/tools.sse", "", TGI, "tool_calls", calls=(SPACED,)),
    Case("llamacpp", "llamacpp/whole.json", "Hi.", LLAMACPP),
    Case("llamacpp", "llamacpp/stream.sse", "Hi.", LLAMACPP),
    Case("llamacpp", "llamacpp/tools.sse", "", LLAMACPP, "tool_calls", calls=(PARIS,)),
    Case("xai", "xai/whole.json", "303", XAI, reasoning="101*3"),
    Case("xai", "xai/stream.sse", "303", XAI, reasoning="101*3"),
    Case("xai", "xai/tools.sse", "", XAI, "tool_calls", calls=(PARIS,)),
    Case("together", "together/whole.json", "Hi there.", TOGETHER),
    Case("together", "together/stream.sse", "Hi there.", TOGETHER),
    Case("together", "together/tools.sse", "", TOGETHER, "tool_calls", calls=(PARIS,)),
    Case("fireworks", "fireworks/whole.json", "Hi there.", FIREWORKS),
    Case("fireworks", "fireworks/stream.sse", "Hi there.", FIREWORKS),
    Case("fireworks", "fireworks/tools.sse", "", FIREWORKS, "tool_calls", calls=(PARIS,)),
    Case("sglang", "sglang/whole.json", "Hi.", SGLANG, reasoning="Greet."),
    Case("sglang", "sglang/stream.sse", "Hi.", SGLANG, reasoning="Greet."),
    Case("sglang", "sglang/tools.sse", "", SGLANG, "tool_calls", calls=(PARIS,)),
    Case("lmstudio", "lmstudio/whole.json", "Hi.", LMSTUDIO),
    Case("lmstudio", "lmstudio/stream.sse", "Hi.", LMSTUDIO),
    Case("lmstudio", "lmstudio/tools.sse", "", LMSTUDIO, "tool_calls", calls=(PARIS,)),
    Case("nvidia", "nvidia/whole.json", "Hi.", NVIDIA),
    Case("nvidia", "nvidia/stream.sse", "Hi.", NVIDIA),
    Case("ollama-openai", "ollama-openai/whole.json", "Hi.", OLLAMA_OPENAI, reasoning="Greet."),
    Case("ollama-openai", "ollama-openai/stream.sse", "Hi.", OLLAMA_OPENAI, reasoning="Greet."),
    Case("ollama-openai", "ollama-openai/tools.sse", "", OLLAMA_OPENAI, "tool_calls", calls=(PARIS,)),
    Case("transformers", "transformers/whole.json", " 5cret 5cret 5cret", TRANSFORMERS, "length"),
    Case("transformers", "transformers/stream.sse", " 5cret 5cret 5cret", TRANSFORMERS, "length"),
    Case("ollama", "ollama/whole.json", "Hello! How are you today?", OLLAMA),
    Case("ollama", "ollama/stream.ndjson", "The gök mavi.", OLLAMA, reasoning="Rayleigh."),
    Case("ollama", "ollama/tools.ndjson", "", OLLAMA, "tool_calls",
         calls=(("get_current_weather", '{"format":"celsius","location":"Paris, FR"}'),)),
    Case("cohere", "cohere/whole.json", "Emperor penguins are tallest.", COHERE,
         reasoning="Look at the documents."),
    Case("cohere", "cohere/stream.sse", "Emperor penguins are tallest.", COHERE, reasoning="Look."),
    Case("cohere", "cohere/tools.sse", "", COHERE, "tool_calls", reasoning="I will check.",
         calls=(SPACED, ("get_time", "{}"))),
    Case("triton", "triton/whole.json", "model output"),
    Case("triton", "triton/stream.sse", "model output"),
    Case("triton", "triton/repeated.sse", " model output"),
)  # fmt: skip
BY_FILE = pytest.mark.parametrize("case", CASES, ids=[case.file for case in CASES])
STREAMS = [case for case in CASES if case.is_stream]


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_RECORDING_KEY", KEY)
        yield


def provider_of(kind: str, base_url: str, client: AiohttpClient) -> Provider:
    vendor = VENDORS[kind]
    path = "/v1" if vendor.dialect == "openai" else ""
    config = ProviderConfig(
        kind=kind, base_url=base_url + path, api_key=SecretRef("env:TEST_RECORDING_KEY")
    )
    return DIALECTS[vendor.dialect](connect_to("main", config, vendor, client))


def call_of(*, is_streaming: bool) -> ProviderCall:
    return ProviderCall(model=MODEL, fields=FIELDS, is_streaming=is_streaming, timeouts=PATIENT)


def ask(replay: Replay, kind: str, file: str, *, is_streaming: bool, **how: Any) -> list[Delta]:
    path = PATHS[VENDORS[kind].dialect][is_streaming]
    replay.reset()
    replay.will(path, recording(file, **how))

    async def collect() -> list[Delta]:
        client = AiohttpClient()
        try:
            provider = provider_of(kind, replay.base_url, client)
            async with aclosing(provider.stream(call_of(is_streaming=is_streaming))) as deltas:
                return [delta async for delta in deltas]
        finally:
            await client.close()

    return asyncio.run(collect())


def without_ids(calls: tuple[ToolCallDelta, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((call.name, call.arguments) for call in calls)


def check(case: Case, deltas: list[Delta]) -> None:
    answer = fold(deltas)
    (choice,) = answer.choices
    assert choice.text == case.text
    assert choice.reasoning == case.reasoning
    assert choice.finish_reason == case.finish
    assert without_ids(choice.tool_calls) == case.calls
    ids = [call.id for call in choice.tool_calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.is_estimated == (case.usage is None)
    assert case.usage in (None, usage)


@BY_FILE
def test_a_recording_says_what_it_says(replay: Replay, case: Case) -> None:
    check(case, ask(replay, case.kind, case.file, is_streaming=case.is_stream, piece=11))


def rendered(deltas: list[Delta]) -> bytes:
    lines: list[bytes] = []
    seen: set[int] = set()
    for delta in deltas:
        if not delta.choices and delta.usage is not None:
            lines.append(delta.raw or usage_chunk(delta, delta.usage))
            continue
        is_new = any(choice.index not in seen for choice in delta.choices)
        seen |= {choice.index for choice in delta.choices}
        lines.append(delta.raw or chunk(delta, role=is_new))
    return b"".join(map(encode_event, lines)) + DONE


def read_in(case: Case, cuts: list[int]) -> list[Delta]:
    """The deltas of a stream whose bytes are split at ``cuts``."""
    data = (RECORDINGS / case.file).read_bytes()
    edges = [0, *sorted({cut % len(data) for cut in cuts}), len(data)]
    return read_pieces(case, [data[a:b] for a, b in pairwise(edges)])


def read_pieces(case: Case, pieces: list[bytes]) -> list[Delta]:
    provider = provider_of(case.kind, "http://127.0.0.1:9", AiohttpClient())
    if isinstance(provider, TranslatedProvider):
        return _read_translated(provider.reader(call_of(is_streaming=True), "", 1), pieces)
    reader = ChunkReader(null_roles=VENDORS[case.kind].null_roles)
    deltas: list[Delta] = []
    for piece in pieces:
        deltas += reader.feed(piece)
        if reader.is_over:
            break
    else:
        deltas += reader.end_bytes()
    return deltas + reader.end(lambda: 1)


def _read_translated(reader: AnswerReader, pieces: list[bytes]) -> list[Delta]:
    deltas: list[Delta] = []
    for piece in pieces:
        deltas += reader.feed(piece)
    if not reader.is_over:
        deltas += [*reader.feed(b"\n\n"), *reader.close()]
    return deltas + reader.end()


@pytest.mark.parametrize("case", STREAMS, ids=[case.file for case in STREAMS])
@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=15))
def test_a_stream_is_well_formed_however_its_bytes_are_split(case: Case, cuts: list[int]) -> None:
    deltas = read_in(case, cuts)
    check(case, deltas)
    check_chat_stream(rendered(deltas))


#: Names that readers look for, so that garbage gets as far as it can.
NAMES = st.sampled_from(
    ["choices", "delta", "message", "content", "tool_calls", "function", "index", "type", "error",
     "text", "usage", "citations", "sources", "done", "logprobs", "text_output", "arguments",
     "reasoning_details", "annotations", "audio", "function_call", "extra_content", "search_results"]
)  # fmt: skip


class Refused(NamedTuple):
    kind: str
    file: str
    status: int
    error: type[ProviderError]
    wait_s: float | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


REFUSALS = (
    Refused("openai", "openai/error.json", 404, ModelNotFound),
    Refused("openai", "openai/busy.json", 429, ProviderBusy, 1.4),
    Refused("azure", "azure/error.json", 404, ModelNotFound),
    Refused("azure", "azure/busy.json", 429, ProviderBusy, 6.0),
    Refused("azure", "azure/busy.json", 429, ProviderBusy, 0.75, {"retry-after-ms": "750"}),
    Refused("azure", "azure/filtered.json", 400, ContentPolicyRefused),
    Refused("azure", "azure/busy_inside.sse", 200, ProviderBusy, 26.0),
    Refused("mistral", "mistral/error.json", 422, ProviderRefusedRequest),
    Refused("mistral", "mistral/model.json", 400, ModelNotFound),
    Refused("mistral", "mistral/busy.json", 429, ProviderBusy),
    Refused("groq", "groq/error.json", 400, ProviderRefusedRequest),
    Refused("groq", "groq/busy.json", 429, ProviderBusy, 8.0, {"retry-after": "8"}),
    Refused("groq", "groq/busy.json", 429, ProviderBusy, 7.66),
    Refused("deepseek", "deepseek/error.json", 400, ModelNotFound),
    Refused("deepseek", "deepseek/money.json", 402, ProviderRefusedKey),
    Refused("deepseek", "deepseek/busy.json", 429, ProviderBusy),
    Refused("perplexity", "perplexity/error.json", 400, ModelNotFound),
    Refused("perplexity", "perplexity/busy.json", 429, ProviderBusy),
    Refused("openrouter", "openrouter/error.json", 403, ContentPolicyRefused),
    Refused("openrouter", "openrouter/busy.json", 429, ProviderBusy),
    Refused("openrouter", "openrouter/error_inside.sse", 200, ProviderFailed),
    Refused("vllm", "vllm/error.json", 404, ModelNotFound),
    Refused("vllm", "vllm/too_long.json", 400, ContextWindowExceeded),
    Refused("vllm", "vllm/error_inside.sse", 200, ProviderFailed),
    Refused("tgi", "tgi/error.json", 422, ContextWindowExceeded),
    Refused("tgi", "tgi/busy.json", 429, ProviderBusy),
    Refused("tgi", "tgi/failed.json", 424, ProviderFailed),
    Refused("tgi", "tgi/error_inside.sse", 200, ProviderFailed),
    Refused("llamacpp", "llamacpp/loading.json", 503, ProviderFailed),
    Refused("llamacpp", "llamacpp/error.json", 400, ContextWindowExceeded),
    Refused("xai", "xai/error.json", 400, ProviderRefusedKey),
    Refused("xai", "xai/busy.json", 429, ProviderBusy),
    Refused("together", "together/error.json", 404, ModelNotFound),
    Refused("together", "together/busy.json", 429, ProviderBusy, 3.0, {"x-ratelimit-reset": "3"}),
    Refused("fireworks", "fireworks/error.json", 400, ProviderRefusedRequest),
    Refused("fireworks", "fireworks/model.json", 404, ModelNotFound),
    Refused("sglang", "sglang/error.json", 400, ContextWindowExceeded),
    Refused("sglang", "sglang/busy.json", 503, ProviderFailed),
    Refused("lmstudio", "lmstudio/error.json", 400, ProviderRefusedRequest),
    Refused("nvidia", "nvidia/error.json", 404, ModelNotFound),
    Refused("nvidia", "nvidia/busy.json", 429, ProviderBusy),
    Refused("ollama-openai", "ollama-openai/error.json", 404, ModelNotFound),
    Refused("transformers", "transformers/error.json", 422, ProviderRefusedRequest),
    Refused("transformers", "transformers/error_inside.sse", 200, ProviderFailed),
    Refused("ollama", "ollama/error.json", 404, ModelNotFound),
    Refused("ollama", "ollama/error_inside.ndjson", 200, ProviderFailed),
    Refused("cohere", "cohere/error.json", 404, ModelNotFound),
    Refused("cohere", "cohere/busy.json", 429, ProviderBusy),
    Refused("cohere", "cohere/too_long.json", 400, ContextWindowExceeded),
    Refused("cohere", "cohere/error_inside.sse", 200, ProviderFailed),
    Refused("triton", "triton/error.json", 400, ModelNotFound),
    Refused("triton", "triton/error_inside.sse", 200, ProviderFailed),
)


@pytest.mark.parametrize("case", REFUSALS, ids=[f"{c.file}-{c.status}" for c in REFUSALS])
def test_a_refusal_says_what_may_help(replay: Replay, case: Refused) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(
            replay,
            case.kind,
            case.file,
            is_streaming=True,
            status=case.status,
            headers=case.headers,
        )
    error = caught.value
    assert type(error) is case.error
    assert error.retry_after_s == case.wait_s
    assert error.retryable == (case.error is not ProviderRefusedRequest)
    assert KEY not in error.message


def test_what_comes_before_an_error_is_not_lost(replay: Replay) -> None:
    said: list[str] = []

    async def collect() -> None:
        client = AiohttpClient()
        provider = provider_of("ollama", replay.base_url, client)
        try:
            async with aclosing(provider.stream(call_of(is_streaming=True))) as deltas:
                async for delta in deltas:
                    said.extend(choice.text for choice in delta.choices)
        finally:
            await client.close()

    replay.reset()
    replay.will("/api/chat", recording("ollama/error_inside.ndjson"))
    with pytest.raises(ProviderFailed, match="an error was encountered"):
        asyncio.run(collect())
    assert said == [" Yes"]


def test_a_stream_that_is_cut_is_no_answer(replay: Replay) -> None:
    for kind, file in (("cohere", "cohere/stream.sse"), ("ollama", "ollama/stream.ndjson")):
        beginning = (RECORDINGS / file).read_bytes()[:-60]
        with pytest.raises(ProviderError):
            ask(replay, kind, file, is_streaming=True, body=beginning)
        with pytest.raises(ProviderUnreachable):
            ask(replay, kind, file, is_streaming=True, body=beginning, is_cut=True)


def folded(replay: Replay, kind: str, file: str) -> Any:
    return fold(ask(replay, kind, file, is_streaming=not file.endswith(".json"))).choices[0]


@pytest.mark.parametrize("file", ["openrouter/whole.json", "openrouter/stream.sse"])
def test_signed_reasoning_keeps_its_signature_and_the_length_of_its_text(
    replay: Replay, file: str
) -> None:
    (detail,) = folded(replay, "openrouter", file).details
    assert detail.signature == "sha256:abc"
    assert detail.format == "anthropic-claude-v1"
    assert detail.id == "chars-6"


def test_a_thought_signature_stays_with_its_call(replay: Replay) -> None:
    (call,) = folded(replay, "gemini-openai", "google-openai/tools.sse").tool_calls
    assert call.signature == "CvcQAXLI2nzA"


def test_a_custom_tools_text_is_marked_as_such(replay: Replay) -> None:
    (call,) = folded(replay, "openai", "openai/custom_tool.json").tool_calls
    assert call.kind == "custom"


@pytest.mark.parametrize(
    ("kind", "file", "url", "span"),
    [
        ("openai", "openai/annotated.json", "https://example.com/weather", (22, 29)),
        ("perplexity", "perplexity/stream.sse", "https://example.com/a", (0, 0)),
        ("perplexity", "perplexity/whole.json", "https://example.com/a", (0, 0)),
        ("cohere", "cohere/stream.sse", "https://example.com/penguins", (0, 16)),
        ("cohere", "cohere/whole.json", "https://example.com/penguins", (0, 16)),
    ],
)
def test_sources_become_annotations(
    replay: Replay, kind: str, file: str, url: str, span: tuple[int, int]
) -> None:
    (annotation,) = folded(replay, kind, file).annotations
    citation = json.loads(bytes(annotation))["url_citation"]
    assert citation["url"] == url
    assert (citation["start_index"], citation["end_index"]) == span


def test_log_probabilities_are_read(replay: Replay) -> None:
    choice = folded(replay, "openai", "openai/logprobs.sse")
    assert json.loads(choice.logprobs)["content"][0]["token"] == "Hello"


def test_bytes_of_the_same_dialect_go_on_as_they_came(replay: Replay) -> None:
    for file in ("openai/function_call.sse", "openai/logprobs.sse", "openai/stream.sse"):
        for delta in ask(replay, "openai", file, is_streaming=True):
            assert delta.raw, "nothing in it has to be mended"


def test_timings_of_llama_cpp_ride_through(replay: Replay) -> None:
    deltas = ask(replay, "llamacpp", "llamacpp/stream.sse", is_streaming=True)
    assert any(b'"timings"' in delta.raw for delta in deltas)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", ["cohere", "ollama", "triton", "openai"])
@settings(max_examples=40)
@given(data=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_a_providers_fault_and_nothing_else(kind: str, data: bytes) -> None:
    events = data + b"\n" if kind == "ollama" else b"data: " + data + b"\n\n"
    case = Case(kind, "")
    for whole in (False, True):
        with suppress(ProviderError):
            if not whole:
                read_pieces(case, [events])
            elif kind == "openai":
                read_whole(data)
            else:
                provider = provider_of(kind, "http://127.0.0.1:9", AiohttpClient())
                assert isinstance(provider, TranslatedProvider)
                list(provider.reader(call_of(is_streaming=False), "", 1).take_whole(data))

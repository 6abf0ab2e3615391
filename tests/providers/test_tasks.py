"""Every task at every kind of provider, against its documented exchange on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.task_upstream import TaskUpstream

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import (
    ModelNotFound,
    ParameterNotSupported,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
)
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import connect_to
from santral.providers.provider import Operation, Provider, ProviderCall, TaskAnswer, TaskCall
from santral.providers.registry import VENDORS, build_provider
from santral.providers.tasks.tasked import TASKS, TasksAlone, operations_of, with_tasks
from santral.providers.vendor import Vendor
from santral.wire.embeddings import Embeddings
from santral.wire.usage import Usage

RECORDINGS = Path(__file__).parents[1] / "recordings" / "tasks"
KEY = "sk-canary-0123456789abcdef"
PATIENT = TimeoutsConfig(connect_s=2, total_s=10)
TEXTS = ["hello", "goodbye"]
DOCUMENTS = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def replay() -> Iterator[TaskUpstream]:
    with TaskUpstream() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(replay: TaskUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    replay.reset()
    monkeypatch.setenv("TEST_TASK_KEY", KEY)


def recording(name: str) -> bytes:
    return (RECORDINGS / f"{name}.json").read_bytes()


def provider_of(kind: str, config: ProviderConfig, client: AiohttpClient) -> Provider:
    """Build a provider; the tasks of a kind do not wait for its conversations."""
    if kind in VENDORS:
        return build_provider("p", config, client)
    return with_tasks(TasksAlone(), connect_to("p", config, Vendor(kind=kind, title=kind), client))


def do(
    replay: TaskUpstream, kind: str, operation: Operation, fields: dict[str, Any], root: str = "/v1"
) -> tuple[TaskAnswer, TaskCall]:
    """Do one task at a provider of ``kind`` that stands at the replay's address."""

    async def main() -> tuple[TaskAnswer, TaskCall]:
        client = AiohttpClient(max_connections=8)
        config = ProviderConfig(
            kind=kind, base_url=replay.url + root, api_key=SecretRef("env:TEST_TASK_KEY")
        )
        provider = provider_of(kind, config, client)
        call = TaskCall(operation=operation, model="the-model", fields=fields, timeouts=PATIENT)
        try:
            return await provider.perform(call), call
        finally:
            await client.close()

    return asyncio.run(main())


def embed(*inputs: str, **more: Any) -> dict[str, Any]:
    return {"model": msgspec.Raw(b'"public"'), "input": list(inputs) or TEXTS, **more}


def rerank(**more: Any) -> dict[str, Any]:
    return {"model": msgspec.Raw(b'"public"'), "query": "q", "documents": DOCUMENTS, **more}


CASES: list[tuple[str, Operation, dict[str, Any], str, str, str, dict[str, Any]]] = [
    (
        "openai", "embed", embed("hello", dimensions=3), "/v1", "/v1/embeddings",
        "openai-embeddings", {"model": "the-model", "input": ["hello"], "dimensions": 3},
    ),
    (
        "mistral", "embed", embed("hello", dimensions=3, encoding_format="base64"), "/v1",
        "/v1/embeddings", "openai-embeddings",
        {"model": "the-model", "input": ["hello"], "output_dimension": 3},
    ),
    (
        "voyage", "embed", embed("hello", input_type="search_query"), "/v1", "/v1/embeddings",
        "openai-embeddings", {"model": "the-model", "input": ["hello"], "input_type": "query"},
    ),
    (
        "jina", "embed", embed("hello", input_type="passage"), "/v1", "/v1/embeddings",
        "openai-embeddings",
        {"model": "the-model", "input": ["hello"], "task": "retrieval.passage"},
    ),
    (
        "nvidia", "embed", embed("hello"), "/v1", "/v1/embeddings", "openai-embeddings",
        {"model": "the-model", "input": ["hello"], "input_type": "passage"},
    ),
    (
        "cohere", "embed", embed(input_type="query", dimensions=3), "/v2", "/v2/embed",
        "cohere-embed",
        {"model": "the-model", "texts": TEXTS, "input_type": "search_query",
         "embedding_types": ["float"], "output_dimension": 3},
    ),
    (
        "gemini", "embed", embed(input_type="document", dimensions=3), "/v1beta",
        "/v1beta/models/the-model:batchEmbedContents", "gemini-embed",
        {"requests": [
            {"model": "models/the-model", "taskType": "RETRIEVAL_DOCUMENT",
             "outputDimensionality": 3, "content": {"parts": [{"text": text}]}}
            for text in TEXTS
        ]},
    ),
    (
        "ollama-openai", "embed", embed(dimensions=3), "/v1", "/api/embed", "ollama-embed",
        {"model": "the-model", "input": TEXTS, "dimensions": 3},
    ),
    ("tei", "embed", embed(), "", "/embed", "tei-embed", {"inputs": TEXTS}),
    (
        "cohere", "rerank", rerank(top_n=3, return_documents=True), "/v2", "/v2/rerank",
        "cohere-rerank",
        {"model": "the-model", "query": "q", "documents": DOCUMENTS, "top_n": 3},
    ),
    (
        "jina", "rerank", rerank(top_n=2, return_documents=True), "/v1", "/v1/rerank",
        "jina-rerank",
        {"model": "the-model", "query": "q", "documents": DOCUMENTS, "top_n": 2,
         "return_documents": False},
    ),
    (
        "vllm", "rerank", rerank(truncate_prompt_tokens=512), "/v1", "/v1/rerank", "vllm-rerank",
        {"model": "the-model", "query": "q", "documents": DOCUMENTS,
         "truncate_prompt_tokens": 512, "return_documents": False},
    ),
    (
        "voyage", "rerank", rerank(top_n=2), "/v1", "/v1/rerank", "voyage-rerank",
        {"model": "the-model", "query": "q", "documents": DOCUMENTS, "top_k": 2},
    ),
    (
        "tei", "rerank", rerank(top_n=1), "", "/rerank", "tei-rerank",
        {"query": "q", "texts": DOCUMENTS},
    ),
    (
        "sglang", "rerank", rerank(), "/v1", "/v1/rerank", "sglang-rerank",
        {"model": "the-model", "query": "q", "documents": DOCUMENTS},
    ),
    (
        "nvidia", "rerank", rerank(), "/v1", "/v1/ranking", "nvidia-ranking",
        {"model": "the-model", "query": {"text": "q"},
         "passages": [{"text": text} for text in DOCUMENTS], "truncate": "END"},
    ),
    (
        "openai", "moderate", {"model": msgspec.Raw(b'"public"'), "input": "kill"}, "/v1",
        "/v1/moderations", "openai-moderation", {"model": "the-model", "input": "kill"},
    ),
    (
        "mistral", "moderate", {"input": "kill"}, "/v1", "/v1/moderations",
        "mistral-moderation", {"model": "the-model", "input": ["kill"]},
    ),
]  # fmt: skip


def test_vertex_is_asked_one_text_a_call_and_signed_for(
    replay: TaskUpstream, tmp_path: Path
) -> None:
    path = "/v1/projects/p/locations/europe-west4/publishers/google/models/m-embed:predict"
    replay.answers[path] = recording("vertex-predict")
    token = tmp_path / "token"
    token.write_text(KEY)

    async def main() -> TaskAnswer:
        client = AiohttpClient(max_connections=8)
        config = ProviderConfig(
            kind="vertex", base_url=replay.url, project="p", region="europe-west4",
            bearer_token=SecretRef(f"file:{token}"),
        )  # fmt: skip
        fields = embed(input_type="query", dimensions=3)
        call = TaskCall(operation="embed", model="m-embed", fields=fields, timeouts=PATIENT)
        try:
            return await build_provider("p", config, client).perform(call)
        finally:
            await client.close()

    answer = asyncio.run(main())
    assert sorted(one.body["instances"][0]["content"] for one in replay.asked) == sorted(TEXTS)
    assert replay.asked[0].body["instances"][0]["task_type"] == "RETRIEVAL_QUERY"
    assert replay.asked[0].body["parameters"] == {"outputDimensionality": 3}
    assert {one.headers["authorization"] for one in replay.asked} == {f"Bearer {KEY}"}
    assert answer.usage == Usage(input_uncached=12)


USED = {
    "openai-embeddings": Usage(input_uncached=8),
    "cohere-embed": Usage(input_uncached=2),
    "ollama-embed": Usage(input_uncached=8),
    "jina-rerank": Usage(input_uncached=815),
    "vllm-rerank": Usage(input_uncached=56),
    "voyage-rerank": Usage(input_uncached=26),
    "nvidia-ranking": Usage(input_uncached=253),
    "openai-moderation": Usage(),
}


@pytest.mark.parametrize(
    ("kind", "operation", "fields", "root", "path", "name", "sent"),
    CASES,
    ids=[f"{case[0]}-{case[1]}" for case in CASES],
)
def test_a_task_is_asked_in_the_vendors_own_words(
    replay: TaskUpstream,
    kind: str,
    operation: Operation,
    fields: dict[str, Any],
    root: str,
    path: str,
    name: str,
    sent: dict[str, Any],
) -> None:
    replay.answers[path] = recording(name)
    answer, _ = do(replay, kind, operation, fields, root)
    assert [(one.path, one.body) for one in replay.asked] == [(path, sent)]
    assert any(KEY in value for value in replay.asked[0].headers.values())
    canonical = json.loads(answer.body)
    if operation == "embed":
        assert [row["index"] for row in canonical["data"]] == list(range(len(fields["input"])))
    else:
        assert canonical["results"]
    expected = USED.get(name)
    if expected is None:
        assert answer.usage.is_estimated
        assert answer.usage.input_tokens > 0
    else:
        assert answer.usage == expected


def test_every_row_of_tasks_belongs_to_a_vendor() -> None:
    missing = set(TASKS) - set(VENDORS)
    assert missing <= {"cohere", "gemini", "vertex", "ollama"}, missing  # rows of other dialects
    for kind in ("jina", "voyage", "tei"):
        assert kind in TASKS


def test_vectors_of_gemini_are_scaled_to_unit_length(replay: TaskUpstream) -> None:
    path = "/v1beta/models/the-model:batchEmbedContents"
    replay.answers[path] = recording("gemini-embed")
    answer, _ = do(replay, "gemini", "embed", embed(), "/v1beta")
    assert json.loads(answer.body)["data"][1]["embedding"] == [0.6, 0.0, 0.8]


def vectors(body: Any) -> bytes:
    """Answer as OpenAI does, rows in reverse; a vector's first number says which text it is of."""
    rows = [{"index": n, "embedding": [float(text), 1.0]} for n, text in enumerate(body["input"])]
    return json.dumps({"data": rows[::-1], "usage": {"prompt_tokens": len(rows)}}).encode()


def test_a_batch_over_the_limit_goes_in_parts_and_comes_back_in_order(replay: TaskUpstream) -> None:
    replay.answers["/v1/embeddings"] = vectors
    texts = [str(n) for n in range(5000)]
    answer, call = do(replay, "openai", "embed", embed(*texts))
    assert sorted(len(one.body["input"]) for one in replay.asked) == [904, 2048, 2048]
    rows = json.loads(answer.body)["data"]
    assert [row["embedding"][0] for row in rows] == list(range(5000))
    assert answer.usage == call.usage == Usage(input_uncached=5000)
    assert replay.most_at_once <= 4


def test_a_batch_is_also_split_by_size(replay: TaskUpstream) -> None:
    replay.answers["/v1/embeddings"] = lambda body: json.dumps(
        {"data": [{"embedding": [1.0]} for _ in body["input"]], "usage": {"prompt_tokens": 1}}
    ).encode()
    do(replay, "openai", "embed", embed(*["x" * 500_000] * 3))
    assert [len(one.body["input"]) for one in replay.asked] == [1, 1, 1]


def test_what_a_failed_batch_used_is_known(replay: TaskUpstream) -> None:
    """A part that was answered is billed, whatever becomes of the others."""
    replay.answers["/v1/embeddings"] = lambda body: (
        500 if "4999" in body["input"] else vectors(body)
    )

    async def main() -> tuple[BaseException | None, TaskCall]:
        client = AiohttpClient(max_connections=1)  # one after the other
        config = ProviderConfig(
            kind="openai", base_url=f"{replay.url}/v1", api_key=SecretRef("env:TEST_TASK_KEY")
        )
        provider = build_provider("p", config, client)
        fields = embed(*map(str, range(5000)))
        call = TaskCall(operation="embed", model="m", fields=fields, timeouts=PATIENT)
        try:
            await provider.perform(call)
        except ProviderError as error:
            return error, call
        finally:
            await client.close()
        return None, call

    error, call = asyncio.run(main())
    assert type(error) is ProviderFailed
    assert call.usage == Usage(input_uncached=4096)
    assert sorted(call.parts) == [0, 1]


def test_another_attempt_asks_for_what_is_missing_alone(replay: TaskUpstream) -> None:
    replay.answers["/v1/embeddings"] = vectors
    found = Embeddings([[float(n), 1.0] for n in range(2048)])
    used = Usage(input_uncached=2048)

    async def main() -> tuple[TaskAnswer, TaskCall]:
        client = AiohttpClient(max_connections=1)
        config = ProviderConfig(
            kind="openai", base_url=f"{replay.url}/v1", api_key=SecretRef("env:TEST_TASK_KEY")
        )
        call = TaskCall(
            operation="embed",
            model="m",
            fields=embed(*map(str, range(3000))),
            timeouts=PATIENT,
            parts={0: (found, used)},
        )
        try:
            return await build_provider("p", config, client).perform(call), call
        finally:
            await client.close()

    answer, call = asyncio.run(main())
    assert [len(one.body["input"]) for one in replay.asked] == [952]
    assert call.usage == Usage(input_uncached=952)  # what this attempt costs
    assert answer.usage == Usage(input_uncached=3000)  # what the caller is told
    rows = json.loads(answer.body)["data"]
    assert [row["embedding"][0] for row in rows[:2048]] == list(range(2048))


def test_null_is_never_sent(replay: TaskUpstream) -> None:
    """vLLM answers 400 to ``encoding_format: null``, which clients send."""
    replay.answers["/v1/embeddings"] = recording("openai-embeddings")
    do(replay, "vllm", "embed", embed("a", encoding_format=msgspec.Raw(b"null"), dimensions=None))
    assert replay.asked[0].body == {"model": "the-model", "input": ["a"]}


def test_token_ids_go_to_those_who_take_them(replay: TaskUpstream) -> None:
    replay.answers["/v1/embeddings"] = recording("openai-embeddings")
    do(replay, "openai", "embed", {"input": [1, 2, 3]})
    assert replay.asked[0].body["input"] == [1, 2, 3]
    for kind in ("cohere", "tei", "voyage"):
        with pytest.raises(ParameterNotSupported, match="no token ids"):
            do(replay, kind, "embed", {"input": [1, 2, 3]})
    assert len(replay.asked) == 1


def test_a_setting_without_a_word_for_it_is_a_loss(replay: TaskUpstream) -> None:
    replay.answers["/v2/embed"] = recording("cohere-embed")
    _, call = do(replay, "cohere", "embed", embed(strange=1, user="u"), "/v2")
    assert call.losses.names() == ["strange"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"<html>", ProviderGarbled),
        (b'{"embeddings": {"float": [[1.0]]}}', ProviderGarbled),
        (b'{"error": {"message": "overloaded", "type": "overloaded_error"}}', ProviderBusy),
        (429, ProviderBusy),
        (503, ProviderError),
    ],
)
def test_what_is_no_answer_is_an_error(
    replay: TaskUpstream, answer: bytes | int, error: type[Exception]
) -> None:
    replay.answers["/v2/embed"] = answer
    with pytest.raises(error) as caught:
        do(replay, "cohere", "embed", embed(), "/v2")
    assert KEY not in str(caught.value)


def test_documents_with_fields_are_ranked_by_their_text(replay: TaskUpstream) -> None:
    replay.answers["/v2/rerank"] = recording("cohere-rerank")
    fields = rerank(
        documents=[{"text": "one"}, {"title": "T", "body": "B"}, "three", "d", "e"],
        rank_fields=None,
    )
    do(replay, "cohere", "rerank", fields, "/v2")
    assert replay.asked[0].body["documents"][:3] == ["one", "title: T\nbody: B", "three"]


def test_mistral_takes_text_parts_as_one_input_and_no_images(replay: TaskUpstream) -> None:
    replay.answers["/v1/moderations"] = recording("mistral-moderation")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    answer, _ = do(replay, "mistral", "moderate", {"input": parts})
    assert replay.asked[0].body["input"] == ["a\nb"]
    assert json.loads(answer.body)["results"][0]["flagged"] is True
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    with pytest.raises(ParameterNotSupported, match="no images"):
        do(replay, "mistral", "moderate", {"input": [image]})


def test_a_models_name_tells_what_it_is_for(replay: TaskUpstream) -> None:
    def can(kind: str, model: str) -> set[str]:
        async def main() -> set[str]:
            client = AiohttpClient(max_connections=1)
            config = ProviderConfig(
                kind=kind, base_url=f"{replay.url}/v1", api_key=SecretRef("env:TEST_TASK_KEY")
            )
            provider = build_provider("p", config, client)
            found = {str(operation) for operation in operations_of(provider, model)}
            await client.close()
            return found

        return asyncio.run(main())

    assert can("openai", "text-embedding-3-small") == {"embed"}
    assert can("openai", "omni-moderation-latest") == {"moderate"}
    assert "embed" not in can("openai", "gpt-5")
    assert {"chat", "embed", "rerank"} <= can("vllm", "BAAI/bge-m3")
    assert can("jina", "jina-embeddings-v4") == {"embed", "rerank"}


def test_a_provider_without_conversations_refuses_them(replay: TaskUpstream) -> None:
    async def main() -> None:
        client = AiohttpClient(max_connections=1)
        provider = build_provider("p", ProviderConfig(kind="tei", base_url=replay.url), client)
        assert "chat" not in provider.operations
        call = ProviderCall(model="m", fields={}, is_streaming=False, timeouts=PATIENT)
        with pytest.raises(ModelNotFound, match="no conversations"):
            await anext(provider.stream(call))
        await client.close()

    asyncio.run(main())

"""An endpoint as a model: asked in batches, tried again within bounds, checked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import pytest
from tests.task_upstream import TaskUpstream

from santral.config.upstreams import DeploymentConfig, ProviderConfig
from santral.errors import BadRequest, ProviderBusy, ProviderFailed, ProviderRefusedKey, StoreError
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.registry import build_provider
from santral.retrieval.embedding.deployment import Asked, DeploymentModel, open_deployment
from santral.retrieval.embedding.model import ModelCard
from santral.retrieval.embedding.registry import require_same

pytestmark = pytest.mark.anyio

PATH = "/v1/embeddings"


@pytest.fixture(scope="module")
def running() -> Iterator[TaskUpstream]:
    with TaskUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running: TaskUpstream, monkeypatch: pytest.MonkeyPatch) -> TaskUpstream:
    monkeypatch.setenv("VECTORS_KEY", "sk-test")
    running.reset()
    return running


@pytest.fixture
async def client(anyio_backend: str) -> AsyncGenerator[AiohttpClient]:
    made = AiohttpClient()
    yield made
    await made.close()


def answer(body: Any, dimensions: int = 4) -> bytes:
    """Answer as OpenAI does: a vector for each text, its length in the first place."""
    rows = [
        {"index": place, "embedding": [float(len(text)), *[1.0] * (dimensions - 1)]}
        for place, text in enumerate(body["input"])
    ]
    tokens = sum(len(text) for text in body["input"])
    return json.dumps({"data": rows, "model": "m", "usage": {"prompt_tokens": tokens}}).encode()


def asked(
    upstream: TaskUpstream, client: AiohttpClient, kind: str = "openai", **deployment: Any
) -> Asked:
    provider = ProviderConfig.model_validate(
        {"kind": kind, "base_url": f"{upstream.url}/v1", "api_key": "env:VECTORS_KEY"}
    )
    config = DeploymentConfig.model_validate(
        {"provider": "p", "model": "embedder", "backoff_s": 0.01, **deployment}
    )
    return Asked("vectors", kind, config, build_provider("p", provider, client))


class Naps:
    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


async def opened(asked_: Asked, naps: Naps | None = None, **known: Any) -> DeploymentModel:
    return await open_deployment(
        asked_, known.get("dimensions"), known.get("card"), sleep=naps or Naps()
    )


async def test_its_dimension_is_learned_and_recorded(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = answer
    model = await opened(asked(upstream, client))
    assert model.card.name == "deployment:vectors"
    assert model.card.dimensions == 4
    found = await model.embed_documents(["a", "bb", " ", "ccc"])
    assert found.shape == (4, 4)
    assert np.allclose(np.linalg.norm(found[[0, 1, 3]], axis=1), 1, atol=1e-6)
    assert not found[2].any()
    assert upstream.asked[-1].body["input"] == ["a", "bb", "ccc"]


async def test_many_texts_go_in_batches_and_are_counted(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = answer
    model = await opened(asked(upstream, client))
    before = model.spent
    found = await model.embed_documents([f"text {number}" for number in range(600)])
    assert found.shape == (600, 4)
    assert [len(one.body["input"]) for one in upstream.asked[1:]] == [256, 256, 88]
    assert model.spent.calls - before.calls == 3
    assert model.spent.usage.input_uncached > 600


async def test_a_failure_that_may_pass_is_tried_again(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = answer
    naps = Naps()
    model = await opened(asked(upstream, client, retries=2), naps)
    failures = iter([503, 429])
    upstream.answers[PATH] = lambda body: next(failures, None) or answer(body)
    assert (await model.embed_query("a")).shape == (4,)
    assert model.spent.retries == 2
    assert naps.taken == [0.01, 0.02]


async def test_a_dead_endpoint_is_not_asked_for_ever(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = answer
    model = await opened(asked(upstream, client, retries=10))
    upstream.answers[PATH] = 503
    for _ in range(5):
        with pytest.raises((ProviderFailed, ProviderBusy)):
            await model.embed_query("a")
    assert model.spent.retries == 4  # three, and a tenth of the one call that went well


async def test_a_refused_key_is_not_tried_again(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = 401
    with pytest.raises(ProviderRefusedKey):
        await opened(asked(upstream, client, retries=3))
    assert len(upstream.asked) == 1


async def test_another_dimension_is_refused_by_name(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = answer
    model = await opened(asked(upstream, client))
    upstream.answers[PATH] = lambda body: answer(body, 5)
    with pytest.raises(BadRequest, match=r"vectors of 5 numbers.*Build a version") as refused:
        await model.embed_documents(["a"])
    assert refused.value.detail_code == "wrong_dimension"


async def test_another_model_behind_the_name_is_refused(
    upstream: TaskUpstream, client: AiohttpClient
) -> None:
    upstream.answers[PATH] = answer
    card = (await opened(asked(upstream, client))).card
    same = await opened(asked(upstream, client), card=card)
    require_same(card, same.card)
    other = await opened(asked(upstream, client, model="embedder-2"), card=card)
    with pytest.raises(StoreError, match=r"another model.*Build a version") as refused:
        require_same(card, other.card)
    assert refused.value.detail_code == "embedding_changed"


@pytest.mark.parametrize(("kind", "purpose"), [("openai", None), ("voyage", "query")])
async def test_vendors_that_want_it_are_told_what_a_text_is_for(
    upstream: TaskUpstream, client: AiohttpClient, kind: str, purpose: str | None
) -> None:
    upstream.answers[PATH] = answer
    card = ModelCard(name="deployment:vectors", digest="any", dimensions=4)
    model = DeploymentModel(asked(upstream, client, kind), card, asked_dimensions=4)
    await model.embed_query("a")
    body = upstream.asked[-1].body
    assert body.get("input_type") == purpose
    assert body.get("dimensions", body.get("output_dimension")) == 4

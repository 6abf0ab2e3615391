"""What an ingest says of the model that makes its vectors."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.retrieval.ingest.place import place_on
from tests.task_upstream import TaskUpstream

from santral.db.engine import Engine
from santral.errors import BadRequest, ProviderError
from santral.retrieval.embedding.model import ModelCard
from santral.retrieval.embedding.pulled.shelf import MODEL, PulledCard, models_folder

pytestmark = pytest.mark.anyio

LEAVE = "# İzin\n\nYıllık izin on dört gündür ve yöneticinin onayı ile kullanılır.\n"


def answer(dimensions: int) -> Any:
    def given(body: Any) -> bytes:
        rows = [
            {"index": place, "embedding": [float(len(text)), *[1.0] * (dimensions - 1)]}
            for place, text in enumerate(body["input"])
        ]
        return json.dumps({"data": rows, "usage": {"prompt_tokens": 7 * len(rows)}}).encode()

    return given


def settings(url: str) -> dict[str, Any]:
    return {
        "providers": {"p": {"kind": "openai", "base_url": url, "api_key": "env:VECTORS_KEY"}},
        "deployments": {"vectors": {"provider": "p", "model": "m", "retries": 0}},
    }


async def test_an_endpoint_is_paid_once_and_checked_ever_after(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECTORS_KEY", "sk-test")
    collection = {"embedding": "deployment:vectors", "dimensions": None}
    with TaskUpstream() as upstream:
        upstream.answers["/embeddings"] = answer(8)
        more = settings(upstream.url)
        async with place_on(engine, tmp_path, collection, **more) as place:
            place.write("leave.md", LEAVE)
            first = await place.ingest()
            assert first.embedded == 1
            assert first.embedding_tokens == 14  # the dimension was asked for, too
            version = await place.active()
            assert version is not None
            assert version.model is not None
            assert (version.model.name, version.model.dimensions) == ("deployment:vectors", 8)
            place.write("travel.md", "# Travel\n\nMeals are paid.\n")
            second = await place.ingest()
            assert second.embedded == 1
            assert second.embedding_tokens == 7
            upstream.answers["/embeddings"] = answer(9)
            place.write("other.md", "# Other\n\nSomething else.\n")
            with pytest.raises(BadRequest, match="vectors of 9 numbers"):
                await place.ingest()
            upstream.answers["/embeddings"] = 503
            with pytest.raises(ProviderError):
                await place.ingest()
            assert (await place.indexed()).documents == 2


async def test_a_model_of_another_language_is_warned_of_in_report_and_log(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class English:
        card = ModelCard(name="english", digest="1", dimensions=8, languages=("en",))

        async def embed_documents(self, texts: Any) -> Any:
            import numpy as np

            return np.ones((len(texts), 8), np.float32) / np.sqrt(8)

        async def embed_query(self, text: str) -> Any:
            return (await self.embed_documents([text]))[0]

    class Opened:
        async def open(self, *asked: Any) -> English:
            return English()

    from msgspec.structs import replace

    def change(work: Any) -> Any:
        return replace(work, models=Opened())

    async with place_on(engine, tmp_path, {"embedding": "english"}, change=change) as place:
        place.write("leave.md", LEAVE)
        with caplog.at_level(logging.WARNING):
            report = await place.ingest()
    assert "'english' was made for en" in report.warning
    assert [r.message for r in caplog.records] == ["model_speaks_another_language"]


async def test_a_model_that_was_never_pulled_is_named_and_the_documents_stay(
    engine: Engine, tmp_path: Path
) -> None:
    async with place_on(engine, tmp_path, {"embedding": "minilm", "dimensions": None}) as place:
        place.write("leave.md", LEAVE)
        with pytest.raises(Exception, match="santral models pull minilm"):
            await place.ingest()
        assert len(await place.documents()) == 1
        folder = models_folder(place.config.data.folder) / "minilm"
        folder.mkdir(parents=True)
        card = PulledCard(
            name="minilm", source="s", licence="l", digest="d", dimensions=8, max_tokens=16,
            files={MODEL: "0" * 64},
        )  # fmt: skip
        import msgspec

        (folder / "card.json").write_bytes(msgspec.json.encode(card))
        with pytest.raises(Exception, match=r"model\.onnx.*Pull it again"):
            await place.ingest()

"""A cross-encoder pulled from a hub: loaded when it is first asked, and what it says is the order."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from tests.retrieval.embedding import tiny_model
from tests.retrieval.embedding.hub import Hub
from tests.retrieval.search.shelves import NOW_S, OneShelf, document

from santral.app.asking import scores_here
from santral.config.schema import Config
from santral.errors import BadRequest
from santral.retrieval.access import as_administrator
from santral.retrieval.embedding.pulled.model import open_pulled, open_reranker
from santral.retrieval.embedding.pulled.pull import Origin, pull_model
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.rerank.registry import Rerankers
from santral.retrieval.search.retriever import Retriever

pytestmark = pytest.mark.anyio

NAME = "makers/ranker"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def counts_passage_tokens() -> bytes:
    """Return a graph whose score is how many tokens the passage has: those of the second type."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=kinds.FLOAT),
        helper.make_node("ReduceSum", ["types", "axes"], ["logits"], keepdims=1),
    ]
    axes = helper.make_tensor("axes", kinds.INT64, [1], [1])
    inputs = [
        helper.make_tensor_value_info(name, kinds.INT64, ["texts", "tokens"])
        for name in ("input_ids", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info("logits", kinds.FLOAT, ["texts", 1])]
    graph = helper.make_graph(nodes, "ranker", inputs, outputs, [axes])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    """A data folder into which the cross-encoder was pulled."""
    config = json.loads(tiny_model.files()["config.json"])
    config["architectures"] = ["BertForSequenceClassification"]
    files = tiny_model.files(
        model_safetensors=None, modules_json=None, config_json=json.dumps(config).encode()
    )
    with Hub({NAME: {**files, "onnx/model.onnx": counts_passage_tokens()}}) as hub:
        pull_model(
            tmp_path, NAME, Origin(hub=hub.url), lambda *_, **__: None, called="cross-encoder"
        )
    return tmp_path


async def test_what_the_model_scores_best_comes_first(pulled: Path) -> None:
    ranker = open_reranker(pulled, "cross-encoder")
    few, many = await ranker.scores("the word", ["pass", "pass the word to the word"])
    assert many > few
    config = Config.model_validate({"data": {"folder": pulled}})
    entries = [
        document("short", "The password."),
        document("long", "The password is a word that is said about the password."),
    ]
    retriever = Retriever(
        OneShelf(entries), now=lambda: NOW_S, rerankers=Rerankers(cross_encoder=scores_here(config))
    )
    scope = as_administrator("acme", "docs")
    result = await retriever.explain(
        scope, Question("password"), SearchOptions(rerank="cross-encoder")
    )
    assert result.troubles == ()
    assert result.ranked[0].candidate.document.id == "long"
    assert "rerank" in result.ranked[0].steps


async def test_without_a_pulled_one_the_search_says_so(tmp_path: Path) -> None:
    config = Config.model_validate({"data": {"folder": tmp_path}})
    retriever = Retriever(
        OneShelf([document("one", "The password.")]),
        now=lambda: NOW_S,
        rerankers=Rerankers(cross_encoder=scores_here(config)),
    )
    scope = as_administrator("acme", "docs")
    result = await retriever.search(
        scope, Question("password"), SearchOptions(rerank="cross-encoder")
    )
    assert result.troubles == ("rerank",)
    assert result.sources != ()


def test_a_reranker_makes_no_vectors(pulled: Path) -> None:
    with pytest.raises(BadRequest, match=r"search\.rerank"):
        open_pulled(pulled, "cross-encoder")

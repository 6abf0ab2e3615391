"""A BERT of a few kilobytes with weights drawn by chance, laid out as a hub keeps models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, LAYERS, HEADS = 32, 2, 4
#: Every letter alone and inside a word: each word has its pieces.
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    *"abcdefghijklmnopqrstuvwxyz0123456789",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"),
    "pass", "##word", "is", "the", ".", "?", ",", ":",
]  # fmt: skip


def weights() -> dict[str, NDArray[np.float32]]:
    """Return the weights, the same every time."""
    rng = np.random.default_rng(7)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    def layer(name: str) -> dict[str, NDArray[np.float32]]:
        shapes = {
            **{f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")},
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (4 * WIDTH, WIDTH),
            "output.dense": (WIDTH, 4 * WIDTH),
        }
        made: dict[str, NDArray[np.float32]] = {}
        for part, (rows, columns) in shapes.items():
            made[f"{name}.{part}.weight"] = drawn(rows, columns)
            made[f"{name}.{part}.bias"] = drawn(rows)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            made[f"{name}.{part}.weight"] = 1 + drawn(WIDTH)
            made[f"{name}.{part}.bias"] = drawn(WIDTH)
        return made

    made = {
        "embeddings.word_embeddings.weight": drawn(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": drawn(64, WIDTH),
        "embeddings.token_type_embeddings.weight": drawn(2, WIDTH),
        "embeddings.LayerNorm.weight": 1 + drawn(WIDTH),
        "embeddings.LayerNorm.bias": drawn(WIDTH),
    }
    for number in range(LAYERS):
        made |= layer(f"encoder.layer.{number}")
    return made


def safetensors(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Return tensors as a safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        begin = len(data)
        data += tensor.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [begin, len(data)],
        }
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data


def files(**changed: bytes | None) -> dict[str, bytes]:
    """Return the files of the model by name; ``changed`` by name with '.' and '/' as '_'."""
    found: dict[str, bytes] = {
        "model.safetensors": safetensors(weights()),
        "vocab.txt": ("\n".join(VOCABULARY) + "\n").encode(),
        "config.json": json.dumps(
            {
                "model_type": "bert",
                "architectures": ["BertModel"],
                "hidden_act": "gelu",
                "hidden_size": WIDTH,
                "num_hidden_layers": LAYERS,
                "num_attention_heads": HEADS,
                "layer_norm_eps": 1e-12,
                "max_position_embeddings": 64,
            }
        ).encode(),
        "modules.json": json.dumps(
            [
                {"path": "", "type": "sentence_transformers.models.Transformer"},
                {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
            ]
        ).encode(),
        "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
        "sentence_bert_config.json": b'{"max_seq_length": 32}',
        "config_sentence_transformers.json": b'{"prompts": {"query": "q: ", "passage": "p: "}}',
    }
    for name in list(found):
        given = changed.get(name.replace(".", "_").replace("/", "_"), found[name])
        if given is None:
            del found[name]
        else:
            found[name] = given
    return found


def write(folder: Path, **changed: bytes | None) -> Path:
    """Write the files into a folder."""
    for name, content in files(**changed).items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder

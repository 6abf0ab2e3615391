"""A BERT encoder as an ONNX graph, built from its weights: no torch, no exporter.

Attention is one operator of onnxruntime, which knows how to run it in bytes. The mean over the tokens
and the unit length are part of the graph. Source of the layers: Devlin et al., BERT, 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.embedding.pulled.weights import Weights
from santral.retrieval.extra import needed

#: Versions of the standard operators and of the file. Chosen: the least that has Gelu.
_OPSET, _FILE = 20, 9
_MICROSOFT = "com.microsoft"


class BertShape(Struct, frozen=True):
    """What ``config.json`` says of a BERT."""

    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    layer_norm_eps: float = 1e-12
    max_position_embeddings: int = 512


class Graph:
    """Nodes and weights of a graph that is being built; every call returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        self._onnx = needed("onnx", "to convert a model", "onnx")
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, operator: str, *inputs: str, domain: str = "", **settings: Any) -> str:
        name = f"t{len(self._nodes)}"
        made = self._onnx.helper.make_node(
            operator, list(inputs), [name], domain=domain, **settings
        )
        self._nodes.append(made)
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        contiguous = np.ascontiguousarray(value)
        self._constants.append(self._onnx.numpy_helper.from_array(contiguous, name))
        return name

    def linear(self, value: str, name: str) -> str:
        product = self.node("MatMul", value, self.constant(self._weights[f"{name}.weight"].T))
        return self.node("Add", product, self.constant(self._weights[f"{name}.bias"]))

    def normal(self, value: str, name: str, epsilon: float) -> str:
        scale = self.constant(self._weights[f"{name}.weight"])
        shift = self.constant(self._weights[f"{name}.bias"])
        return self.node("LayerNormalization", value, scale, shift, axis=-1, epsilon=epsilon)

    def finished(self, output: str, dimensions: int) -> Any:
        """Return the whole model; its inputs are ``ids`` and ``mask`` [texts, tokens], ``places``."""
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        self._nodes.append(helper.make_node("Identity", [output], ["vectors"]))
        texts = [
            helper.make_tensor_value_info(name, kinds.INT64, ["texts", "tokens"])
            for name in ("ids", "mask")
        ]
        places = helper.make_tensor_value_info("places", kinds.INT64, ["tokens"])
        vectors = helper.make_tensor_value_info("vectors", kinds.FLOAT, ["texts", dimensions])
        graph = helper.make_graph(
            self._nodes, "encoder", [*texts, places], [vectors], self._constants
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_FILE)


def bert_graph(weights: Weights, shape: BertShape) -> Any:
    """Return an ONNX model that gives float32 [texts, hidden_size] of unit length.

    Raises:
        StoreError: the ``onnx`` extra is not installed.
        KeyError: a weight is missing.
    """
    graph = Graph(weights)
    whole = graph.node("Cast", "mask", to=6)  # int32, as attention wants it
    value = _embedded(graph, weights, shape)
    for layer in range(shape.num_hidden_layers):
        value = _layer(graph, weights, shape, f"encoder.layer.{layer}", value, whole)
    return graph.finished(_mean(graph, value), shape.hidden_size)


def _embedded(graph: Graph, weights: Weights, shape: BertShape) -> str:
    words = graph.constant(weights["embeddings.word_embeddings.weight"])
    # Every token is of the first kind: a constant that is added to each place.
    places = weights["embeddings.position_embeddings.weight"]
    placed = graph.constant(places + weights["embeddings.token_type_embeddings.weight"][0])
    total = graph.node(
        "Add", graph.node("Gather", words, "ids"), graph.node("Gather", placed, "places")
    )
    return graph.normal(total, "embeddings.LayerNorm", shape.layer_norm_eps)


def _layer(
    graph: Graph, weights: Weights, shape: BertShape, name: str, value: str, mask: str
) -> str:
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    attended = graph.node(
        "Attention",
        value,
        graph.constant(np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1)),
        graph.constant(np.concatenate([weights[f"{part}.bias"] for part in parts])),
        mask,
        domain=_MICROSOFT,
        num_heads=shape.num_attention_heads,
    )
    output = graph.linear(attended, f"{name}.attention.output.dense")
    epsilon = shape.layer_norm_eps
    value = graph.normal(
        graph.node("Add", output, value), f"{name}.attention.output.LayerNorm", epsilon
    )
    inner = graph.node("Gelu", graph.linear(value, f"{name}.intermediate.dense"))
    output = graph.linear(inner, f"{name}.output.dense")
    return graph.normal(graph.node("Add", output, value), f"{name}.output.LayerNorm", epsilon)


def _mean(graph: Graph, value: str) -> str:
    """Return the mean over the tokens that are there, at unit length."""
    weights = graph.node("Cast", "mask", to=1)
    columns = graph.node("Unsqueeze", weights, graph.constant(np.array([2], np.int64)))
    axis = graph.constant(np.array([1], np.int64))
    total = graph.node("ReduceSum", graph.node("Mul", value, columns), axis, keepdims=0)
    count = graph.node("ReduceSum", weights, axis, keepdims=1)
    return graph.node("LpNormalization", graph.node("Div", total, count), axis=1, p=2)

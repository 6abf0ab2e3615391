"""A pulled model in onnxruntime: numbers of tokens in, numbers out, one thread for each call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.embedding.fitted.projection import unit
from santral.retrieval.embedding.pulled.shelf import MODEL, PulledCard, damaged
from santral.retrieval.extra import needed


class Session:
    """A loaded model; safe to use from several threads."""

    def __init__(self, folder: Path, card: PulledCard) -> None:
        """Load the model; raises StoreError where it is damaged or the ``onnx`` extra is missing."""
        runtime = needed("onnxruntime", f"to run the model '{card.name}'", "onnx")
        options = runtime.SessionOptions()
        # More threads for one call would take them from requests, and wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = runtime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - onnxruntime raises its own kinds for a bad file
            raise damaged(card.name, str(error).splitlines()[0]) from None
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._pooling = card.pooling

    def vector(self, tokens: Sequence[int], types: Sequence[int] | None = None) -> Floats:
        """Return float32 of one text, at unit length; of a reranker the scores as they are.

        One text at a time is quicker than several on one thread (54 passages a second against 40 of
        eight together, of 154 tokens): nothing is padded, and a text fits the processor's cache.
        """
        size = len(tokens)
        ids = np.array([tokens], np.int64)
        given = {
            "ids": ids,
            "input_ids": ids,
            "mask": np.ones((1, size), np.int64),
            "attention_mask": np.ones((1, size), np.int64),
            "token_type_ids": np.array([types or [0] * size], np.int64),
            "position_ids": np.arange(size)[None],
            "places": np.arange(size),
        }
        feed = {name: value for name, value in given.items() if name in self._inputs}
        found = np.asarray(self._session.run(None, feed)[0], np.float32)[0]
        if self._pooling == "inside":
            return found
        if self._pooling == "scores":
            return found.reshape(-1)
        return unit(found.mean(axis=0) if self._pooling == "mean" else found[0])

"""Make of a fetched model what is run: an ONNX graph in bytes, checked against the one in floats."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from santral.errors import StoreError
from santral.retrieval.embedding.pulled.bert import bert_graph
from santral.retrieval.embedding.pulled.model import open_draft
from santral.retrieval.embedding.pulled.raw import ONNX, WEIGHTS, Description, Raw, describe, unfit
from santral.retrieval.embedding.pulled.shelf import FORMAT, MODEL, PulledCard, file_digest
from santral.retrieval.embedding.pulled.weights import read_weights
from santral.retrieval.extra import needed

_FLOATS = "floats.onnx"
#: Cosine between the vectors of both forms below which the bytes are not taken. Measured for MiniLM:
#: 0.990 at the least over 164 texts, 0.995 on average; specified: 0.99 on average over the probes.
LEAST_COSINE = 0.99
#: Texts on which both forms are compared: short and long, in both languages, with names and numbers.
PROBES = (
    "How do I reset my password?",
    "Where is the nearest train station?",
    "The invoice of 14 March 2024 over 1,250.00 EUR has not been paid.",
    "Retrieval finds the passages that answer a question, and cites the page on which they stand.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen. It happens in the "
    "chloroplasts of plants, algae and some bacteria, and it feeds nearly all life on Earth.",
    "İstanbul'un nüfusu kaçtır?",
    "Yıllık izin talebi en az iki hafta önce yöneticiye bildirilmelidir.",
    "Error 0x80070005: access is denied while the service starts.",
)


def convert(draft: Path, raw: Raw, name: str) -> tuple[PulledCard, list[str]]:
    """Write what is run into ``draft``; return its card and the names of its files.

    Raises:
        BadRequest: the model cannot be run here.
        StoreError: the ``onnx`` extra is not installed, or the model does not do what it should.
    """
    said = describe(raw)
    tokenizer = "vocab.txt" if said.tokenizer == "wordpiece" else "tokenizer.json"
    if not raw.has(tokenizer):
        raise unfit(raw, "it has neither vocab.txt nor tokenizer.json")
    shutil.copy(raw.folder / tokenizer, draft / tokenizer)
    is_built = _write_floats(draft / _FLOATS, raw, said)
    card = PulledCard(
        name=name,
        kind=said.kind,
        source=raw.source,
        licence=raw.licence,
        digest=_digest(raw, said, tokenizer),
        dimensions=said.dimensions,
        languages=raw.languages,
        max_tokens=said.max_tokens,
        tokenizer=said.tokenizer,
        is_lower=said.is_lower,
        pooling="inside" if is_built else said.pooling,
        query_prefix=said.query_prefix,
        document_prefix=said.document_prefix,
    )
    cosine = _quantise(draft, card)
    return replace(card, cosine=cosine), [MODEL, tokenizer]


def _write_floats(path: Path, raw: Raw, said: Description) -> bool:
    """Write the graph in floats; return whether pooling is inside of it."""
    if said.shape is not None and said.pooling == "mean" and raw.has(WEIGHTS):
        onnx = needed("onnx", "to convert a model", "onnx")
        weights = read_weights((raw.folder / WEIGHTS).read_bytes())
        try:
            onnx.save(bert_graph(weights, said.shape), str(path))
        except KeyError as missing:
            raise unfit(raw, f"its weights lack {missing}") from None
        return True
    if not raw.has(ONNX):
        raise unfit(raw, "only a BERT that takes the mean of its tokens can be built from weights")
    shutil.copy(raw.folder / ONNX, path)
    return False


def _quantise(draft: Path, card: PulledCard) -> float | None:
    """Write the model in bytes and return its cosine to the one in floats.

    A model that does not stand it stays in floats; a reranker always does: its scores have no length.
    """
    floats, made = draft / _FLOATS, draft / MODEL
    if card.kind == "reranker":
        floats.rename(made)
        return None
    wanted = _probed(draft, floats, card)
    quantization = needed("onnxruntime.quantization", "to convert a model", "onnx")
    with _silent():
        quantization.quantize_dynamic(
            str(floats),
            str(made),
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"DefaultTensorType": 1},  # float: of what the operators do not tell
        )
    found = _probed(draft, made, card)
    cosine = float((wanted * found).sum(axis=1).mean())
    if cosine < LEAST_COSINE:
        floats.replace(made)
        return None
    floats.unlink()
    return cosine


def _probed(draft: Path, graph: Path, card: PulledCard) -> Any:
    """Return the vectors of the probes; raises StoreError where they are none."""
    place = draft / MODEL
    if graph != place:
        place.unlink(missing_ok=True)
        place.symlink_to(graph.name)
    try:
        model = open_draft(draft, card)
        found = np.stack([model.embed_now(text) for text in PROBES])
    finally:
        if graph != place:
            place.unlink()
    if found.shape[1] != card.dimensions or not np.isfinite(found).all():
        raise StoreError(
            f"The model '{card.name}' does not give {card.dimensions} numbers for a text.",
            code="model_unusable",
        )
    if np.abs(np.linalg.norm(found, axis=1) - 1).max() > 0.01:
        raise StoreError(
            f"The vectors of '{card.name}' have no length of 1.", code="model_unusable"
        )
    return found


def _digest(raw: Raw, said: Description, tokenizer: str) -> str:
    """Return what names the vectors: what they are made from and how, on every machine alike."""
    weights = WEIGHTS if raw.has(WEIGHTS) else ONNX
    parts = (
        str(FORMAT),
        file_digest(raw.folder / weights),
        file_digest(raw.folder / tokenizer),
        str(said.max_tokens),
        said.pooling,
        said.query_prefix,
        said.document_prefix,
    )
    return sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def _silent() -> Generator[None]:
    """Keep the quantiser from advising on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

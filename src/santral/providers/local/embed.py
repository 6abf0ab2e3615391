"""Embeddings and rerank without a model: hashed features and word statistics, for trying things out.

Nothing here was learned from data, so nothing here knows that a car is a vehicle: texts are near
each other when they share words, stems or pieces of words. That makes a demonstration work without
a key and a download, and it is no replacement for an embedding model.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.errors import ParameterNotSupported, ProviderRefusedRequest, nearest
from santral.providers.local.provider import tokenize
from santral.providers.provider import Operation, TaskAnswer, TaskCall
from santral.providers.tasks.http import drop_rest, refuse_tokens, settings_of
from santral.wire.embeddings import inputs_of
from santral.wire.rerank import Ranked, Ranking, document_text
from santral.wire.task import plain
from santral.wire.usage import Usage

#: Length of a vector where the caller names none, and the most. Chosen: at 512 two features of a
#: short text seldom meet in one place.
DIMENSIONS, MAX_DIMENSIONS = 512, 4096
#: What a piece of a word counts beside a word. Chosen: pieces carry a shared root across suffixes, and
#: there are several times as many of them.
_GRAM_WEIGHT = 0.35

#: BM25's constants. Source: Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009.
_K1, _B = 1.2, 0.75

#: Its models, and what each is for.
MODELS: dict[str, Operation] = {"hashing": "embed", "bm25": "rerank"}


class TextFeatures(Struct, frozen=True):
    """How texts are taken apart, handed in: ``terms`` are folded stems, ``ngrams`` pieces of words."""

    terms: Callable[[str], list[str]]
    ngrams: Callable[[str], list[str]]


class LocalEmbedder:
    """Model ``hashing``: word stems and character 4-grams, hashed into a fixed number of places.

    Sublinear counts, signed hashing (Weinberger et al. 2009), unit length; a text without a letter
    or digit is the zero vector. Deterministic on every machine.
    """

    def __init__(self, features: TextFeatures) -> None:
        self._features = features

    async def __call__(self, call: TaskCall) -> TaskAnswer:
        """Return the vectors.

        Raises:
            ProviderRefusedRequest: another model.
            ParameterNotSupported: token ids, or more dimensions than there are.
        """
        _check_model(call, "hashing")
        inputs = inputs_of(call.fields["input"])
        refuse_tokens(call, inputs)
        dimensions = plain(call.fields.get("dimensions")) or DIMENSIONS
        if dimensions > MAX_DIMENSIONS:
            raise ParameterNotSupported(
                f"'hashing' makes vectors of at most {MAX_DIMENSIONS} numbers.", param="dimensions"
            )
        drop_rest(
            call,
            settings_of(call, "input", "model", "encoding_format", "dimensions", "input_type"),
        )
        return await asyncio.to_thread(self._embed, call, inputs, dimensions)

    def _embed(self, call: TaskCall, inputs: Sequence[str], dimensions: int) -> TaskAnswer:
        rows = [
            {"index": index, "embedding": [round(n, 6) for n in self.vector(text, dimensions)]}
            for index, text in enumerate(inputs)
        ]
        body = msgspec.json.encode({"data": rows, "model": call.model})
        return TaskAnswer(body=body, usage=_used(inputs))

    def vector(self, text: str, dimensions: int = DIMENSIONS) -> list[float]:
        """Return the unit vector of a text."""
        vector: NDArray[np.float64] = np.zeros(dimensions)
        for kind, features, weight in (
            (b"t", self._features.terms(text), 1.0),
            (b"g", self._features.ngrams(text), _GRAM_WEIGHT),
        ):
            for feature, count in Counter(features).items():
                place, sign = _hashed(kind, feature, dimensions)
                vector[place] += sign * weight * (1 + math.log(count))
        length = float(np.linalg.norm(vector))
        return (vector / length if length else vector).tolist()


def _hashed(kind: bytes, feature: str, dimensions: int) -> tuple[int, int]:
    digest = blake2b(feature.encode(), digest_size=8, person=kind).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % dimensions, 1 if number & 1 else -1


class LocalReranker:
    """Model ``bm25``: documents by how many of the query's rarer stems they hold.

    The statistics are those of the documents of the request alone. Scores are BM25's, divided by
    the best that a document could reach, so that they lie between 0 and 1.
    """

    def __init__(self, features: TextFeatures) -> None:
        self._features = features

    async def __call__(self, call: TaskCall) -> TaskAnswer:
        """Return the ranking.

        Raises:
            ProviderRefusedRequest: another model.
        """
        _check_model(call, "bm25")
        drop_rest(
            call,
            settings_of(
                call, "model", "query", "documents", "top_n", "return_documents", "rank_fields"
            ),
        )
        texts = [
            document_text(document, plain(call.fields.get("rank_fields")))
            for document in call.fields["documents"]
        ]
        return await asyncio.to_thread(self._rerank, call.fields["query"], texts)

    def _rerank(self, query: str, texts: Sequence[str]) -> TaskAnswer:
        results = [Ranked(n, score) for n, score in enumerate(self.scores(query, texts))]
        return TaskAnswer(body=msgspec.json.encode(Ranking(results)), usage=_used([query, *texts]))

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return the score of every text, from 0 to 1."""
        documents = [Counter(self._features.terms(text)) for text in texts]
        lengths = [sum(document.values()) for document in documents]
        mean = sum(lengths) / len(lengths) or 1.0
        weights = {
            term: _rarity(sum(term in document for document in documents), len(documents))
            for term in dict.fromkeys(self._features.terms(query))
        }
        best = sum(weights.values()) * (_K1 + 1) or 1.0
        return [
            sum(
                weight * _saturated(document[term], length / mean)
                for term, weight in weights.items()
            )
            / best
            for document, length in zip(documents, lengths, strict=True)
        ]


def _rarity(holders: int, count: int) -> float:
    return math.log(1 + (count - holders + 0.5) / (holders + 0.5))


def _saturated(count: int, relative_length: float) -> float:
    return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * relative_length))


def _check_model(call: TaskCall, model: str) -> None:
    if call.model != model:
        raise ProviderRefusedRequest(
            f"The provider 'local' has no model '{call.model}' for this; it has {model}."
            f"{nearest(call.model, (model,))}",
            param="model",
        )


def _used(texts: Sequence[str]) -> Usage:
    """Counted with the embedded tokenizer, so exact: nothing is estimated."""
    return Usage(input_uncached=sum(len(tokenize(text)) for text in texts))

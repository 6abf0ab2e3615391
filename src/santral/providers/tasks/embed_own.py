"""Embeddings of providers with a shape of their own: Cohere, Gemini, Vertex, Ollama, TEI."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from santral.errors import ProviderGarbled
from santral.providers.connection import Connection
from santral.providers.provider import TaskAnswer, TaskCall
from santral.providers.tasks.embed import answer_of, purpose_of
from santral.providers.tasks.http import (
    Address,
    Doer,
    ask,
    batches,
    counted,
    drop_rest,
    in_parts,
    read,
    refuse_tokens,
    settings_of,
)
from santral.wire.embeddings import inputs_of
from santral.wire.task import plain
from santral.wire.usage import Usage

_MOST_BYTES = 900_000


class _Part(Struct, frozen=True):
    """One part of a batch, answered."""

    vectors: list[list[float]]
    tokens: int | None = None


#: Makes the body of one call from its texts and settings; takes what it knows out of the settings.
_Write = Callable[[TaskCall, Sequence[str], dict[str, Any]], dict[str, Any]]
_Read = Callable[[bytes], _Part]


def _embedder(
    connection: Connection, address: Address, most: int, write: _Write, read_part: _Read
) -> Doer:
    async def embed(call: TaskCall) -> TaskAnswer:
        inputs = inputs_of(call.fields["input"])
        refuse_tokens(call, inputs)
        settings = settings_of(call, "input", "model", "encoding_format")
        bodies = [
            (part, write(call, part, settings)) for part in batches(inputs, most, _MOST_BYTES)
        ]
        drop_rest(call, settings)

        async def one(body: tuple[Sequence[str], dict[str, Any]]) -> tuple[_Part, Usage]:
            texts, fields = body
            answer = read_part(await ask(connection, address(call.model), fields, call))
            if len(answer.vectors) != len(texts):
                raise ProviderGarbled(
                    f"The provider gave {len(answer.vectors)} vectors for {len(texts)} inputs."
                )
            return answer, counted(answer.tokens, texts)

        parts, usage = await in_parts(call, bodies, one)
        vectors = [vector for part in parts for vector in part.vectors]
        return answer_of(vectors, usage, call.model)

    return embed


class _CohereVectors(Struct, frozen=True):
    float_: list[list[float]] = field(name="float", default_factory=list[list[float]])


class _CohereUnits(Struct, frozen=True):
    input_tokens: float | None = None


class _CohereMeta(Struct, frozen=True):
    billed_units: _CohereUnits = _CohereUnits()


class _CohereAnswer(Struct, frozen=True):
    embeddings: _CohereVectors
    meta: _CohereMeta = _CohereMeta()


_cohere = msgspec.json.Decoder(_CohereAnswer)
_COHERE_PURPOSES = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}


def cohere_embedder(connection: Connection, address: Address) -> Doer:
    """Embed at ``/v2/embed``. Source: https://docs.cohere.com/reference/embed (96 texts a call)."""

    def write(call: TaskCall, texts: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": call.model,
            "texts": texts,
            "input_type": purpose_of(call, _COHERE_PURPOSES, "search_document"),
            "embedding_types": ["float"],
        }
        settings.pop("input_type", None)
        for ours, theirs in (
            ("dimensions", "output_dimension"),
            ("truncate", "truncate"),
            ("max_tokens", "max_tokens"),
        ):
            if ours in call.fields:
                fields[theirs] = call.fields[ours]
                settings.pop(ours, None)
        return fields

    def read_part(body: bytes) -> _Part:
        answer = read(body, _cohere)
        tokens = answer.meta.billed_units.input_tokens
        return _Part(answer.embeddings.float_, None if tokens is None else int(tokens))

    return _embedder(connection, address, 96, write, read_part)


class _GeminiVector(Struct, frozen=True):
    values: list[float]


class _GeminiUsage(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None


class _GeminiAnswer(Struct, frozen=True, rename="camel"):
    embeddings: list[_GeminiVector]
    usage_metadata: _GeminiUsage = _GeminiUsage()


_gemini = msgspec.json.Decoder(_GeminiAnswer)
GOOGLE_PURPOSES = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}


def gemini_embedder(connection: Connection, address: Address) -> Doer:
    """Embed at ``:batchEmbedContents``, 100 texts a call.

    Vectors shorter than the model's own come unscaled, so they are scaled to unit length here.
    Source: https://ai.google.dev/api/embeddings, https://ai.google.dev/gemini-api/docs/embeddings
    """

    def write(call: TaskCall, texts: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
        shared: dict[str, Any] = {"model": f"models/{call.model.removeprefix('models/')}"}
        purpose = purpose_of(call, GOOGLE_PURPOSES)
        if purpose:
            shared["taskType"] = purpose
        dimensions = plain(call.fields.get("dimensions"))
        if dimensions is not None:
            shared["outputDimensionality"] = dimensions
        settings.pop("input_type", None)
        settings.pop("dimensions", None)
        return {"requests": [{**shared, "content": {"parts": [{"text": t}]}} for t in texts]}

    def read_part(body: bytes) -> _Part:
        answer = read(body, _gemini)
        vectors = [unit(row.values) for row in answer.embeddings]
        return _Part(vectors, answer.usage_metadata.prompt_token_count)

    return _embedder(connection, address, 100, write, read_part)


class _VertexStatistics(Struct, frozen=True):
    token_count: float | None = None


class _VertexVector(Struct, frozen=True):
    values: list[float]
    statistics: _VertexStatistics = _VertexStatistics()


class _VertexPrediction(Struct, frozen=True):
    embeddings: _VertexVector


class _VertexAnswer(Struct, frozen=True):
    predictions: list[_VertexPrediction]


_vertex = msgspec.json.Decoder(_VertexAnswer)


def vertex_embedder(connection: Connection, address: Address) -> Doer:
    """Embed at ``:predict``; ``gemini-embedding-001`` takes one text a call, the others 250.

    Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
    """

    def write(call: TaskCall, texts: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
        purpose = purpose_of(call, GOOGLE_PURPOSES)
        shared = {"task_type": purpose} if purpose else {}
        dimensions = plain(call.fields.get("dimensions"))
        settings.pop("input_type", None)
        settings.pop("dimensions", None)
        fields: dict[str, Any] = {"instances": [{"content": text, **shared} for text in texts]}
        if dimensions is not None:
            fields["parameters"] = {"outputDimensionality": dimensions}
        return fields

    def read_part(body: bytes) -> _Part:
        found = [prediction.embeddings for prediction in read(body, _vertex).predictions]
        counts = [vector.statistics.token_count for vector in found]
        known = [count for count in counts if count is not None]
        tokens = int(sum(known)) if len(known) == len(counts) else None
        return _Part([unit(vector.values) for vector in found], tokens)

    return _embedder(connection, address, 1, write, read_part)


def unit(vector: Sequence[float]) -> list[float]:
    """Return a vector scaled to unit length; one without length stays as it is."""
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector] if length else list(vector)


class _OllamaAnswer(Struct, frozen=True):
    embeddings: list[list[float]]
    prompt_eval_count: int | None = None


_ollama = msgspec.json.Decoder(_OllamaAnswer)


def ollama_embedder(connection: Connection, address: Address) -> Doer:
    """Embed at ``/api/embed``. Source: https://docs.ollama.com/api/embed"""

    def write(call: TaskCall, texts: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
        known = ("dimensions", "truncate", "keep_alive", "options")
        own: Mapping[str, Any] = {n: call.fields[n] for n in known if n in call.fields}
        for name in known:
            settings.pop(name, None)
        return {"model": call.model, "input": texts, **own}

    def read_part(body: bytes) -> _Part:
        answer = read(body, _ollama)
        return _Part(answer.embeddings, answer.prompt_eval_count)

    return _embedder(connection, address, 512, write, read_part)


_tei = msgspec.json.Decoder(list[list[float]])


def tei_embedder(connection: Connection, address: Address) -> Doer:
    """Embed at ``/embed``, 32 texts a call: the server's own default (``--max-client-batch-size``).

    Source: https://huggingface.github.io/text-embeddings-inference
    """

    def write(call: TaskCall, texts: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
        known = ("dimensions", "truncate", "normalize", "prompt_name", "truncation_direction")
        own: Mapping[str, Any] = {n: call.fields[n] for n in known if n in call.fields}
        for name in known:
            settings.pop(name, None)
        return {"inputs": texts, **own}

    def read_part(body: bytes) -> _Part:
        return _Part(read(body, _tei))

    return _embedder(connection, address, 32, write, read_part)

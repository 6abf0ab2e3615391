"""Embeddings as OpenAI's imitators take them: one shape, and each vendor's words as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from santral.providers.connection import Connection
from santral.providers.provider import TaskAnswer, TaskCall
from santral.providers.tasks.http import (
    Address,
    ask,
    batches,
    counted,
    in_parts,
    refuse_tokens,
    settings_of,
)
from santral.wire.embeddings import Embeddings, Vector, inputs_of, read_embeddings
from santral.wire.task import plain
from santral.wire.usage import Usage

#: Bytes of one call's texts. Specified: OpenAI takes 300,000 tokens a call; at three bytes a token.
MOST_BYTES = 900_000

#: What callers of any vendor say an input is for, in the words of this package.
PURPOSES: Mapping[str, str] = {
    "query": "query",
    "search_query": "query",
    "retrieval_query": "query",
    "retrieval.query": "query",
    "document": "document",
    "passage": "document",
    "search_document": "document",
    "retrieval_document": "document",
    "retrieval.passage": "document",
    "classification": "classification",
    "clustering": "clustering",
    "separation": "clustering",
    "semantic_similarity": "similarity",
    "text-matching": "similarity",
}


class EmbedWords(Struct, frozen=True, kw_only=True):
    """How one vendor takes embeddings: its limits, and its names for what OpenAI calls otherwise."""

    most_inputs: int = 2048  # specified: OpenAI's
    dimensions: str = "dimensions"  # its name for it
    purpose: str = ""  # its field for what an input is for; empty: the caller's own rides through
    purposes: Mapping[str, str] = field(default_factory=dict[str, str])
    default_purpose: str = ""  # sent where the caller says nothing and the vendor insists
    takes_tokens: bool = True
    takes_base64: bool = True


def purpose_of(call: TaskCall, purposes: Mapping[str, str], default: str = "") -> str:
    """Return what an input is for in the vendor's own word; one that we do not know stays as it is."""
    asked = plain(call.fields.get("input_type"))
    if not isinstance(asked, str):
        return default
    return purposes.get(PURPOSES.get(asked.lower(), ""), asked)


class Embedder:
    """Embeds at one vendor of OpenAI's shape; a batch over its limit goes in parts, as one bill."""

    def __init__(self, connection: Connection, address: Address, words: EmbedWords) -> None:
        self._connection = connection
        self._address = address
        self._words = words

    async def __call__(self, call: TaskCall) -> TaskAnswer:
        """Return the vectors in the order of the inputs."""
        inputs = inputs_of(call.fields["input"])
        if not self._words.takes_tokens:
            refuse_tokens(call, inputs)
        settings = self._settings(call)
        parts = batches(inputs, self._words.most_inputs, MOST_BYTES)
        if len(parts) == 1:
            return await self._whole(call, settings, inputs)

        async def one(part: Sequence[Any]) -> tuple[Embeddings, Usage]:
            body = await self._ask(call, settings, part)
            found = read_embeddings(body, len(part))
            return found, counted(found.prompt_tokens, part)

        found, usage = await in_parts(call, parts, one)
        vectors = [vector for part in found for vector in part.vectors]
        return answer_of(vectors, usage, found[0].model or call.model)

    async def _whole(
        self, call: TaskCall, settings: dict[str, Any], inputs: Sequence[Any]
    ) -> TaskAnswer:
        """Ask once and pass the provider's own bytes on."""
        body = await self._ask(call, settings, call.fields["input"])
        tokens = read_usage(body)
        return TaskAnswer(body=body, usage=counted(tokens, inputs))

    async def _ask(self, call: TaskCall, settings: dict[str, Any], part: Any) -> bytes:
        fields = {**settings, "model": call.model, "input": part}
        return await ask(self._connection, self._address(call.model), fields, call)

    def _settings(self, call: TaskCall) -> dict[str, Any]:
        words = self._words
        settings = settings_of(call, "input", "model", "stream")
        if "dimensions" in settings:
            settings[words.dimensions] = settings.pop("dimensions")
        if not words.takes_base64:
            settings.pop("encoding_format", None)  # the gateway writes it
        if words.purpose:
            settings.pop("input_type", None)
            purpose = purpose_of(call, words.purposes, words.default_purpose)
            if purpose:
                settings[words.purpose] = purpose
        return settings


class _UsageAlone(Struct, frozen=True):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Head(Struct, frozen=True):
    usage: _UsageAlone | None = None


_head = msgspec.json.Decoder(_Head)


def read_usage(body: bytes) -> int | None:
    """Return the input tokens an answer reports, without reading the rest of it."""
    try:
        usage = _head.decode(body).usage
    except (msgspec.DecodeError, RecursionError):
        return None  # who reads the answer itself says what is wrong with it
    if usage is None:
        return None
    return usage.total_tokens if usage.prompt_tokens is None else usage.prompt_tokens


def answer_of(vectors: Sequence[Vector], usage: Usage, model: str) -> TaskAnswer:
    """Return vectors as the canonical answer."""
    rows = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return TaskAnswer(body=msgspec.json.encode({"data": rows, "model": model}), usage=usage)

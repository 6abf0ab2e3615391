"""Embeddings as OpenAI speaks them: the request read once, vectors as numbers or as base64.

Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, cast

import msgspec
import numpy as np
from msgspec import Struct

from santral.errors import BadRequest, ProviderGarbled
from santral.wire.task import TaskRequest, TaskView, TextPath, read_task

Format: TypeAlias = Literal["float", "base64"]

#: A vector as it came: numbers, or base64 of little-endian float32.
Vector: TypeAlias = list[float] | str


class EmbeddingView(TaskView, frozen=True, kw_only=True):
    """The fields of an embeddings request that Santral looks at."""

    input: Any
    encoding_format: Format | None = None
    dimensions: int | None = None
    input_type: str | None = None


_view = msgspec.json.Decoder(EmbeddingView)


def parse_embeddings(body: bytes) -> TaskRequest:
    """Read an embeddings request; its texts are the inputs that are no token arrays.

    Raises:
        BadRequest: malformed; the message names the place.
    """
    view, fields = read_task(body, _view, ("input",))
    if view.dimensions is not None and not 1 <= view.dimensions <= MAX_DIMENSIONS:
        raise BadRequest(
            f"'dimensions' must be from 1 to {MAX_DIMENSIONS}.",
            code="invalid_request",
            param="dimensions",
        )
    return TaskRequest("embed", view, fields, _paths(fields["input"]))


#: Chosen: several times the longest vector that anybody offers.
MAX_DIMENSIONS = 65_536


def _paths(given: Any) -> list[TextPath]:
    """Return where the texts stand; none for token arrays."""
    if isinstance(given, str):
        if not given:
            raise _bad_input("'input' is empty; give it a text.")
        return [("input",)]
    if not isinstance(given, list) or not given:
        raise _bad_input("'input' must be a text, a list of texts, or token ids.")
    entries = cast("list[Any]", given)
    if all(isinstance(entry, str) for entry in entries):
        return [("input", position) for position in range(len(entries))]
    if is_tokens(entries) or all(is_tokens(entry) and entry for entry in entries):
        return []
    first = entries[0].__class__
    at = next((n for n, entry in enumerate(entries) if entry.__class__ is not first), 0)
    raise _bad_input(
        "'input' must be a text, a list of texts, or token ids, all of one kind.", f"input[{at}]"
    )


def _bad_input(message: str, param: str = "input") -> BadRequest:
    return BadRequest(message, code="invalid_request", param=param)


def is_tokens(value: Any) -> bool:
    """Whether this is one input as token ids."""
    return isinstance(value, list) and all(
        type(entry) is int and entry >= 0 for entry in cast("list[Any]", value)
    )


def inputs_of(given: Any) -> list[Any]:
    """Return the inputs one by one: texts, or lists of token ids."""
    return [given] if isinstance(given, str) or is_tokens(given) else given


class _Row(Struct, frozen=True):
    embedding: list[float] | str
    index: int | None = None


class _Usage(Struct, frozen=True):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(Struct, frozen=True):
    data: list[_Row]
    model: str | None = None
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


class Embeddings(Struct, frozen=True):
    """The vectors of one answer in the order of the inputs, and what the provider said of them."""

    vectors: list[Vector]
    model: str = ""
    prompt_tokens: int | None = None


def read_embeddings(body: bytes, count: int) -> Embeddings:
    """Read OpenAI's answer to ``count`` inputs; its rows may come in any order.

    Raises:
        ProviderGarbled: it is something else, a vector is missing or no vector of finite numbers.
    """
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderGarbled(f"The provider's answer holds no embeddings: {error}.") from None
    vectors: list[Vector | None] = [None] * count
    for place, row in enumerate(answer.data):
        index = place if row.index is None else row.index
        if not 0 <= index < count or vectors[index] is not None:
            raise ProviderGarbled(f"The provider gave a vector for input {index}, of {count}.")
        vectors[index] = row.embedding
    found = [vector for vector in vectors if vector is not None]
    if len(found) != count:
        raise ProviderGarbled(f"The provider gave {len(found)} vectors for {count} inputs.")
    usage = answer.usage or _Usage()
    tokens = usage.total_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    return Embeddings(found, answer.model or "", tokens)


def render_embeddings(answer: Embeddings, model: str, tokens: int, wanted: Format) -> bytes:
    """Return the answer as OpenAI writes it, every vector in the form that was asked for.

    Raises:
        ProviderGarbled: a vector cannot be read, holds no finite numbers, or has another length.
    """
    vectors = [_in_form(vector, wanted) for vector in answer.vectors]
    if len({dimensions_of(vector) for vector in vectors}) > 1:
        raise ProviderGarbled("The provider's vectors have different lengths.")
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index, vector in enumerate(vectors)
            ],
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _in_form(vector: Vector, wanted: Format) -> Vector:
    """Return the vector as numbers or base64; untouched where it is in that form already."""
    if isinstance(vector, str):
        numbers = _unpacked(vector)
        _check(bool(np.isfinite(numbers).all()) and len(numbers) > 0)
        return vector if wanted == "base64" else numbers.tolist()
    _check(bool(vector) and math.isfinite(sum(vector)))
    if wanted == "float":
        return vector
    with np.errstate(over="ignore"):  # what is too large for a float32 becomes infinite
        return _packed(np.asarray(vector, "<f4"))


def _check(is_sound: bool) -> None:
    if not is_sound:
        raise ProviderGarbled("The provider gave a vector that is empty or holds no number.")


def _packed(numbers: Any) -> str:
    _check(bool(np.isfinite(numbers).all()))
    return base64.b64encode(numbers.tobytes()).decode()


def _unpacked(vector: str) -> Any:
    try:
        return np.frombuffer(base64.b64decode(vector, validate=True), "<f4")
    except (binascii.Error, ValueError):
        raise ProviderGarbled("The provider gave a vector that is no base64 of float32.") from None


def dimensions_of(vector: Vector) -> int:
    """Return how many numbers a vector has."""
    if isinstance(vector, str):
        return (len(vector) * 3 // 4 - vector[-2:].count("=")) // 4
    return len(vector)


def shortened(vectors: Sequence[Vector], dimensions: int) -> list[Vector]:
    """Return the vectors cut to their first ``dimensions`` numbers and scaled to unit length.

    Sound for models trained so that a prefix stands for the whole (Matryoshka; Kusupati et al.
    2022), and for those alone.
    """
    cut: list[Vector] = []
    for vector in vectors:
        numbers = _unpacked(vector) if isinstance(vector, str) else np.asarray(vector, np.float64)
        head = numbers[:dimensions].astype(np.float64)
        length = float(np.linalg.norm(head))
        cut.append((head / length if length else head).tolist())
    return cut

"""Rerank in the shape that Cohere's and Jina's clients share.

Sources: https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc (rerank)
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import BadRequest, ProviderGarbled
from santral.wire.task import TaskRequest, TaskView, TextPath, read_task


class RerankView(TaskView, frozen=True, kw_only=True):
    """The fields of a rerank request that Santral looks at."""

    query: str
    documents: list[str | dict[str, Any]]
    top_n: int | None = None
    return_documents: bool | None = None
    rank_fields: list[str] | None = None


_view = msgspec.json.Decoder(RerankView)


def parse_rerank(body: bytes) -> TaskRequest:
    """Read a rerank request; its texts are the query and all that the documents say.

    Raises:
        BadRequest: malformed; the message names the place.
    """
    view, fields = read_task(body, _view, ("query", "documents"))
    if not view.documents:
        raise BadRequest(
            "'documents' must hold at least one document.",
            code="invalid_request",
            param="documents",
        )
    if view.top_n is not None and view.top_n < 1:
        raise BadRequest("'top_n' must be at least 1.", code="invalid_request", param="top_n")
    paths: list[TextPath] = [("query",)]
    for position, document in enumerate(view.documents):
        paths += _paths(document, position)
    return TaskRequest("rerank", view, fields, paths)


def _paths(document: str | dict[str, Any], position: int) -> list[TextPath]:
    if isinstance(document, str):
        return [("documents", position)]
    named = [name for name, value in document.items() if isinstance(value, str)]
    if not named:
        raise BadRequest(
            "A document is a text, or an object with a text in it, such as 'text'.",
            code="invalid_request",
            param=f"documents[{position}]",
        )
    return [("documents", position, name) for name in named]


def document_text(document: str | dict[str, Any], rank_fields: list[str] | None) -> str:
    """Return what of a document is ranked: its text, or its named fields one a line."""
    if isinstance(document, str):
        return document
    if rank_fields is None and isinstance(document.get("text"), str):
        return document["text"]
    names = rank_fields or list(document)
    texts = [(name, document.get(name)) for name in names]
    return "\n".join(f"{name}: {text}" for name, text in texts if isinstance(text, str))


class Ranked(Struct, frozen=True):
    """One document of the answer: its place among the documents of the request, and its score."""

    index: int
    relevance_score: float


class Ranking(Struct, frozen=True):
    """The answer in the canonical form: what a provider's own form is read into."""

    results: list[Ranked]
    model: str | None = None
    search_units: int | None = None  # what Cohere bills


_ranking = msgspec.json.Decoder(Ranking)


def read_ranking(body: bytes, count: int) -> Ranking:
    """Read the canonical answer over ``count`` documents, best first.

    Raises:
        ProviderGarbled: it is something else, or names a document twice or one that is not there.
    """
    try:
        ranking = _ranking.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderGarbled(f"The provider's answer holds no ranking: {error}.") from None
    indexes = [ranked.index for ranked in ranking.results]
    if len(set(indexes)) != len(indexes) or any(not 0 <= index < count for index in indexes):
        raise ProviderGarbled(f"The provider's ranking does not fit {count} documents.")
    if not all(math.isfinite(ranked.relevance_score) for ranked in ranking.results):
        raise ProviderGarbled("The provider's ranking holds a score that is no number.")
    best_first = sorted(ranking.results, key=lambda ranked: -ranked.relevance_score)
    return msgspec.structs.replace(ranking, results=best_first)


def render_ranking(
    ranking: Ranking, *, request_id: str, model: str, tokens: int, documents: list[Any] | None
) -> bytes:
    """Return the answer for Cohere's (``meta``) and Jina's clients (``usage``) alike.

    ``documents`` are those of the request, where the caller wants them back.
    """
    results: list[dict[str, Any]] = []
    for ranked in ranking.results:
        result: dict[str, Any] = msgspec.to_builtins(ranked)
        if documents is not None:
            document = documents[ranked.index]
            result["document"] = {"text": document} if isinstance(document, str) else document
        results.append(result)
    units = {} if ranking.search_units is None else {"search_units": ranking.search_units}
    return msgspec.json.encode(
        {
            "id": request_id,
            "object": "list",
            "model": model,
            "results": results,
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": units,
                "tokens": {"input_tokens": tokens},
            },
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )

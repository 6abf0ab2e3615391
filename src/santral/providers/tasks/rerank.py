"""Rerank at providers: Cohere's and Jina's shape and their imitators, Voyage, TEI, NVIDIA, SGLang."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from santral.providers.connection import Connection
from santral.providers.provider import TaskAnswer, TaskCall
from santral.providers.tasks.http import Address, Doer, ask, counted, drop_rest, read, settings_of
from santral.wire.rerank import Ranked, Ranking, document_text
from santral.wire.task import plain


class _Found(Struct, frozen=True):
    """A provider's answer, read: the ranking and the tokens it reports."""

    ranking: Ranking
    tokens: int | None = None


_Write = Callable[[TaskCall, str, Sequence[str], dict[str, Any]], dict[str, Any]]
_Read = Callable[[bytes], _Found]


def _reranker(connection: Connection, address: Address, write: _Write, read_body: _Read) -> Doer:
    async def rerank(call: TaskCall) -> TaskAnswer:
        query = call.fields["query"]
        texts = [
            document_text(document, plain(call.fields.get("rank_fields")))
            for document in call.fields["documents"]
        ]
        # The gateway hands documents back itself, and every provider takes plain texts.
        settings = settings_of(
            call, "model", "query", "documents", "rank_fields", "return_documents"
        )
        fields = write(call, query, texts, settings)
        drop_rest(call, settings)
        found = read_body(await ask(connection, address(call.model), fields, call))
        # A provider that reads documents once reads the query with each of them: some say so.
        usage = counted(found.tokens, [query, *texts])
        return TaskAnswer(body=msgspec.json.encode(found.ranking), usage=usage)

    return rerank


def _take(settings: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Take the settings that a provider knows out, under its own names."""
    return {names[name]: settings.pop(name) for name in list(settings) if name in names}


class _Units(Struct, frozen=True):
    search_units: float | None = None


class _Tokens(Struct, frozen=True):
    input_tokens: float | None = None


class _Meta(Struct, frozen=True):
    billed_units: _Units = _Units()
    tokens: _Tokens | None = None


class _Usage(Struct, frozen=True):
    total_tokens: int | None = None
    prompt_tokens: int | None = None


class _Answer(Struct, frozen=True):
    """Cohere's and Jina's answer, and Voyage's, which says ``data`` for ``results``."""

    results: list[Ranked] = field(default_factory=list[Ranked])
    data: list[Ranked] = field(default_factory=list[Ranked])
    model: str | None = None
    meta: _Meta | None = None
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


def _read_answer(body: bytes) -> _Found:
    answer = read(body, _answer)
    meta, usage = answer.meta or _Meta(), answer.usage or _Usage()
    units = meta.billed_units.search_units
    tokens = usage.prompt_tokens if usage.total_tokens is None else usage.total_tokens
    if tokens is None and meta.tokens is not None and meta.tokens.input_tokens is not None:
        tokens = int(meta.tokens.input_tokens)
    ranking = Ranking(
        answer.results or answer.data, answer.model, None if units is None else int(units)
    )
    return _Found(ranking, tokens)


def cohere_reranker(connection: Connection, address: Address) -> Doer:
    """Rerank at ``/v2/rerank``. Source: https://docs.cohere.com/reference/rerank"""
    known = {
        "top_n": "top_n",
        "max_tokens_per_doc": "max_tokens_per_doc",
        "priority": "priority",
    }

    def write(
        call: TaskCall, query: str, texts: Sequence[str], settings: dict[str, Any]
    ) -> dict[str, Any]:
        own = _take(settings, known)
        return {"model": call.model, "query": query, "documents": texts, **own}

    return _reranker(connection, address, write, _read_answer)


def jina_reranker(connection: Connection, address: Address) -> Doer:
    """Rerank in Jina's shape, which vLLM, llama.cpp, LocalAI, Together and Fireworks take too.

    Source: https://api.jina.ai/redoc; fields we do not know ride through.
    """

    def write(
        call: TaskCall, query: str, texts: Sequence[str], settings: dict[str, Any]
    ) -> dict[str, Any]:
        own = dict(settings)
        settings.clear()
        own.pop("user", None)
        own.pop("stream", None)
        return {
            **own,
            "model": call.model,
            "query": query,
            "documents": texts,
            "return_documents": False,
        }

    return _reranker(connection, address, write, _read_answer)


def voyage_reranker(connection: Connection, address: Address) -> Doer:
    """Rerank at Voyage. Source: https://docs.voyageai.com/reference/reranker-api"""
    known = {"top_n": "top_k", "top_k": "top_k", "truncation": "truncation"}

    def write(
        call: TaskCall, query: str, texts: Sequence[str], settings: dict[str, Any]
    ) -> dict[str, Any]:
        own = _take(settings, known)
        return {"model": call.model, "query": query, "documents": texts, **own}

    return _reranker(connection, address, write, _read_answer)


class _Score(Struct, frozen=True):
    index: int
    score: float


_scores = msgspec.json.Decoder(list[_Score])


def _read_scores(body: bytes) -> _Found:
    rows = read(body, _scores)
    return _Found(Ranking([Ranked(row.index, row.score) for row in rows]))


def tei_reranker(connection: Connection, address: Address) -> Doer:
    """Rerank at TEI's ``/rerank``: a bare list of scores; it ranks all, the gateway cuts.

    Source: https://huggingface.github.io/text-embeddings-inference
    """
    known = {name: name for name in ("raw_scores", "truncate", "truncation_direction")}

    def write(
        call: TaskCall, query: str, texts: Sequence[str], settings: dict[str, Any]
    ) -> dict[str, Any]:
        settings.pop("top_n", None)
        return {"query": query, "texts": texts, **_take(settings, known)}

    return _reranker(connection, address, write, _read_scores)


def sglang_reranker(connection: Connection, address: Address) -> Doer:
    """Rerank at SGLang's ``/v1/rerank``: a bare list of scores.

    Source: github.com/sgl-project/sglang, python/sglang/srt/entrypoints/openai/serving_rerank.py
    """

    def write(
        call: TaskCall, query: str, texts: Sequence[str], settings: dict[str, Any]
    ) -> dict[str, Any]:
        settings.pop("top_n", None)
        return {"model": call.model, "query": query, "documents": texts}

    return _reranker(connection, address, write, _read_scores)


class _Logit(Struct, frozen=True):
    index: int
    logit: float


class _NvidiaUsage(Struct, frozen=True):
    total_tokens: int | None = None


class _NvidiaAnswer(Struct, frozen=True):
    rankings: list[_Logit]
    usage: _NvidiaUsage | None = None


_nvidia = msgspec.json.Decoder(_NvidiaAnswer)


def nvidia_reranker(connection: Connection, address: Address) -> Doer:
    """Rerank at a NIM's ``/v1/ranking``; its scores are logits and stay what they are.

    Source: https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/using-reranking.html
    """

    def write(
        call: TaskCall, query: str, texts: Sequence[str], settings: dict[str, Any]
    ) -> dict[str, Any]:
        settings.pop("top_n", None)
        return {
            "model": call.model,
            "query": {"text": query},
            "passages": [{"text": text} for text in texts],
            "truncate": "END",
            **_take(settings, {"truncate": "truncate"}),
        }

    def read_body(body: bytes) -> _Found:
        answer = read(body, _nvidia)
        ranking = Ranking([Ranked(row.index, row.logit) for row in answer.rankings])
        return _Found(ranking, answer.usage.total_tokens if answer.usage else None)

    return _reranker(connection, address, write, read_body)

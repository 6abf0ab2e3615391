"""``POST /api/collections/{name}/search``: see what a question finds, as an administrator or as a group."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.retrieval.search.look import Look, look
from santral.retrieval.search.question import Question, Turn
from santral.retrieval.search.result import Ranked, SearchResult
from santral.retrieval.search.retriever import Retriever
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT
from santral.wire.delta import Source

#: Chunks that an explained search lists. Chosen: what was ranked beyond decides nothing.
MAX_EXPLAINED = 100


class TurnBody(BaseModel):
    """One thing that was said before the question."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    text: str = Field(max_length=100_000)


class SearchBody(BaseModel):
    """A question to a collection."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose collection.")
    query: str = Field(min_length=1, max_length=100_000, description="What to look for.")
    conversation: list[TurnBody] = Field(
        default_factory=list[TurnBody], max_length=100, description="What was said before."
    )
    groups: list[str] | None = Field(
        None, max_length=1_000, description="See what somebody of these groups sees; null: all."
    )
    options: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Settings of this search: top_k, max_tokens, filter, weights, and those of "
        "[collections.NAME.search].",
    )
    explain: bool = Field(False, description="List every chunk with the score of each step.")


class PieceBody(BaseModel):
    """A stretch of a passage, and where it stands in the document."""

    chunk_id: str
    at: int = Field(description="First character in the passage.")
    end: int = Field(description="Behind its last character in the passage.")
    start: int = Field(description="First character in the document's text.")
    page: int | None


class SourceBody(BaseModel):
    """A passage as a model would get it."""

    number: int
    document_id: str
    document: str
    title: str
    section: str
    page: int | None
    url: str
    text: str
    score: float
    pieces: list[PieceBody]


class RankedBody(BaseModel):
    """A chunk that was found, with the score of every step."""

    chunk_id: str
    document_id: str
    document: str
    section: str
    page: int | None
    text: str
    score: float
    signals: dict[str, float] = Field(description="Scaled to 0..1, as fusion saw them.")
    raw: dict[str, float] = Field(description="As the index gave them.")
    steps: dict[str, float] = Field(description="fused, age, rerank, where they took part.")


class FoundBody(BaseModel):
    """What a question found."""

    sources: list[SourceBody]
    support: float = Field(description="How well it is supported, 0 to 1.")
    is_weak: bool = Field(description="Whether support is below min_score: nothing is given then.")
    generation: str
    queries: list[str] = Field(description="The wordings that were searched for.")
    troubles: list[str] = Field(description="Steps that failed and were done without.")
    timings_ms: dict[str, float]
    ranked: list[RankedBody] = Field(description="With explain: the best chunks.")


class Opened(Protocol):
    """The retrieval of this process, as the composition root opens it."""

    @property
    def retriever(self) -> Retriever:
        """What searches."""
        ...


OpenRetrieval: TypeAlias = Callable[[], AbstractAsyncContextManager[Opened]]


def search_router(engine: Engine, authorise: Authorise, open_retrieval: OpenRetrieval) -> APIRouter:
    """Return the endpoint; ``open_retrieval`` gives what is open already, or opens it."""
    router = APIRouter(prefix="/api/collections", tags=["collections"])
    reader: Any = Depends(authorise("collections.read"))

    @router.post("/{name}/search")
    async def post_search(
        name: Annotated[str, Path(max_length=128, description="The collection.")],
        body: SearchBody,
        by: Principal = reader,
    ) -> FoundBody:
        """Search a collection; which documents were shown is noted, the question is not."""
        turns = tuple(Turn(turn.role, turn.text) for turn in body.conversation)
        wanted = Look(
            tenant_id=body.tenant_id,
            collection=name,
            question=Question(body.query, turns),
            given=body.options,
            groups=None if body.groups is None else tuple(body.groups),
            is_explained=body.explain,
        )
        async with open_retrieval() as opened:
            result = await look(engine, opened.retriever, wanted, by=by)
        return _found(result, is_explained=body.explain)

    del post_search  # the router holds it
    return router


def _found(result: SearchResult, *, is_explained: bool) -> FoundBody:
    return FoundBody(
        sources=[_source(source) for source in result.sources],
        support=round(result.support, 4),
        is_weak=result.is_weak,
        generation=result.generation,
        queries=list(result.queries),
        troubles=list(result.troubles),
        timings_ms={step: round(took, 3) for step, took in result.timings_ms.items()},
        ranked=[_ranked(one) for one in result.ranked[:MAX_EXPLAINED]] if is_explained else [],
    )


def _source(source: Source) -> SourceBody:
    return SourceBody(
        number=source.number,
        document_id=source.document_id,
        document=source.document,
        title=source.title,
        section=source.section,
        page=source.page,
        url=source.url,
        text=source.text,
        score=source.score,
        pieces=[
            PieceBody(
                chunk_id=piece.chunk_id, at=piece.at, end=piece.end, start=piece.start,
                page=piece.page,
            )
            for piece in source.pieces
        ],
    )  # fmt: skip


def _ranked(one: Ranked) -> RankedBody:
    chunk, document = one.candidate.chunk, one.candidate.document
    return RankedBody(
        chunk_id=chunk.id,
        document_id=document.id,
        document=document.source,
        section=chunk.section,
        page=chunk.page,
        text=chunk.text,
        score=round(one.score, 4),
        signals={str(name): round(score, 4) for name, score in one.signals.items()},
        raw={str(name): round(score, 4) for name, score in one.raw.items()},
        steps={name: round(score, 4) for name, score in one.steps.items()},
    )

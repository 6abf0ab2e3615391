"""Settings of collections: how documents are read, split, embedded, kept and searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from santral.config.secret import SecretRef
from santral.config.section import Name, Seconds, Section

SignalName = Literal["bm25", "ngrams", "dense"]
Weight = Annotated[float, Field(ge=0, le=1)]


class FreshnessRuleConfig(Section):
    """What becomes of documents that are older than they should be."""

    older_than_days: float = Field(
        gt=0, description="Counted from when the content last changed at its source."
    )
    action: Literal["lower", "hide"] = Field(
        default="lower", description="Count their scores for less, or leave them out."
    )
    factor: float = Field(
        default=0.5, gt=0, lt=1, description="What a lowered score is multiplied by."
    )
    where: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Only documents that pass this filter, e.g. { kind = 'pdf' }; default is all.",
    )


class SearchConfig(Section):
    """How a question is asked and what is made of what it finds; a request can say otherwise."""

    candidates: int = Field(
        default=60, ge=1, le=1000, description="Best chunks of each signal that are looked at."
    )
    rewrite: Literal["off", "rules"] = Field(
        default="rules",
        description="rules: take a follow-up's subject from the conversation, and take questions that "
        "ask several things apart.",
    )
    rewrite_route: Name | None = Field(
        default=None, description="Route whose model rewrites questions instead of the rules."
    )
    queries: int = Field(
        default=1, ge=1, le=8, description="Wordings of a question that are searched for together."
    )
    hyde: bool = Field(
        default=False,
        description="Embed an answer that the rewriting model invents, beside the question.",
    )
    rerank: str = Field(
        default="off",
        description="off, learned (embedded, microseconds), cross-encoder (embedded, after "
        "`santral models pull`), or deployment:NAME of a rerank endpoint.",
    )
    ranker: dict[str, float] = Field(
        default_factory=dict[str, float],
        max_length=32,
        description="Weights of the learned ranker's features, that of fused being 1, as fitted to this "
        "collection; default is what ships.",
    )
    rerank_candidates: int = Field(default=30, ge=1, le=200, description="Chunks reranked.")
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0: the best chunks; towards 1: chunks that differ from each other (MMR).",
    )
    recency_half_life_days: float | None = Field(
        default=None, gt=0, description="A document this old counts for half; default is no boost."
    )
    neighbours: int = Field(
        default=0, ge=0, le=5, description="Chunks before and after a found one that go with it."
    )
    parents: Literal["joined", "always", "never"] = Field(
        default="joined",
        description="Give the longer passage around chunks: where several of it are found, always, "
        "or never.",
    )
    order: Literal["best-first", "edges"] = Field(
        default="best-first",
        description="edges: the best passages first and last, where models read best.",
    )
    whole_document_tokens: int = Field(
        default=0,
        ge=0,
        le=2_000_000,
        description="A document that is found and no longer than this is given whole, as far as the "
        "budget of the route allows; 0: never.",
    )
    min_score: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Support below which nothing is given, so that the answer is that it is not known.",
    )


class CollectionConfig(Section):
    """How a collection is split, indexed and searched."""

    description: str = Field(default="", description="What is in it, for people.")
    engine: Name = Field(
        default="embedded", description="embedded, or the name of a server under [indexes]."
    )
    chunking: Literal["recursive", "window", "semantic", "whole"] = Field(
        default="recursive",
        description="recursive: along headings, paragraphs and sentences; window: sliding, with "
        "overlap_tokens; semantic: where the subject changes; whole: one chunk for each document.",
    )
    child_tokens: int = Field(
        default=300, ge=40, le=2000, description="Length of an indexed passage."
    )
    parent_tokens: int = Field(
        default=1500, ge=100, le=16_000, description="Length of the passage around it."
    )
    overlap_tokens: int = Field(
        default=60, ge=0, le=1000, description="What two windows share; for chunking = 'window'."
    )
    embedding: str = Field(
        default="lsa",
        description="lsa (fitted to the collection, needs nothing), off, the name of a pulled model "
        "(minilm), or deployment:NAME of an embeddings endpoint.",
    )
    dimensions: int | None = Field(
        default=None, ge=16, le=4096, description="Of the vectors; default is 256, or the model's."
    )
    weights: dict[SignalName, Weight] = Field(
        default_factory=dict[SignalName, Weight],
        description="Fusion weights of the signals; default is what was measured for the model and "
        "the language of the question.",
    )
    search: SearchConfig = Field(default_factory=SearchConfig, description="How it is searched.")
    freshness: list[FreshnessRuleConfig] = Field(
        default_factory=list[FreshnessRuleConfig], max_length=20, description="What becomes old."
    )
    policy: Name | None = Field(
        default=None,
        description="A name under [policies]: its checks of retrieved text see each document when it "
        "comes in; masked text is what is kept, a refused document is quarantined.",
    )
    duplicates: Literal["keep", "hide"] = Field(
        default="keep", description="Documents that nearly repeat another one: search them, or not."
    )
    ocr: bool = Field(
        default=False, description="Read pages without a text layer through tesseract."
    )
    max_file_bytes: int = Field(
        default=50 * 1024 * 1024, ge=1024, description="Longer files are quarantined."
    )
    switch: Literal["auto", "manual"] = Field(
        default="auto",
        description="Whether a version built with changed settings is searched as soon as it is "
        "complete, or when somebody says so.",
    )
    tenants: list[Name] | None = Field(
        default=None,
        description="Tenants that may search it; default is the tenant that owns it only.",
    )
    owner: Name = Field(
        default="default", description="Tenant whose documents the listed tenants search."
    )

    @model_validator(mode="after")
    def _fits(self) -> CollectionConfig:
        if self.child_tokens > self.parent_tokens:
            raise ValueError("child_tokens is larger than parent_tokens: make it smaller")
        if self.chunking == "window" and self.overlap_tokens * 2 > self.child_tokens:
            raise ValueError("overlap_tokens is more than half of child_tokens: make it smaller")
        if self.weights and not any(self.weights.values()):
            raise ValueError("weights are all 0: nothing would be found")
        return self


class IndexServerConfig(Section):
    """A vector database that collections can live in, when the embedded index is outgrown."""

    kind: Literal["qdrant", "pgvector"] = Field(description="What kind of server it is.")
    url: str = Field(
        description="http://HOST:6333 for Qdrant, postgresql://HOST/DATABASE for pgvector."
    )
    secret: SecretRef | None = Field(
        default=None, description="API key of Qdrant, or the password, e.g. env:QDRANT_API_KEY."
    )
    timeout_s: Seconds = Field(default=2.0, description="How long a search may take there.")
    write_timeout_s: Seconds = Field(default=60.0, description="How long a batch may take.")
    prefix: str = Field(
        default="santral",
        pattern=r"^[a-z][a-z0-9_]{0,30}$",
        description="In front of the names of what is made there.",
    )

    @model_validator(mode="after")
    def _is_address(self) -> IndexServerConfig:
        schemes = ("http", "https") if self.kind == "qdrant" else ("postgresql", "postgres")
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            example = "https://HOST:6333" if self.kind == "qdrant" else "postgresql://HOST/DATABASE"
            raise ValueError(f"url is no address of {self.kind}: it looks like {example}")
        return self

"""Settings of the caches: what a route keeps, and where it is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from santral.config.secret import SecretRef
from santral.config.section import Name, Seconds, Section

Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


class SemanticConfig(Section):
    """Answers for questions that mean the same, though their words differ."""

    mode: Literal["off", "shadow", "serve"] = Field(
        default="off",
        description="shadow looks up, serves nothing, and measures how often it would have been "
        "wrong; serve answers.",
    )
    threshold: float = Field(
        default=0.85,
        ge=0.5,
        le=1,
        description="Least cosine similarity of two questions; a request may only raise it. "
        "Measured: docs/decisions/0014-caches.md.",
    )
    ttl_s: Seconds = Field(default=3600.0, description="How long an answer may be served.")
    embedding: Name = Field(
        default="local",
        description="What turns questions into vectors: local (in this process, Turkish and "
        "English), or a deployment that can embed.",
    )
    max_entries: int = Field(
        default=2000, ge=1, le=10_000, description="Questions kept for one partition."
    )
    max_temperature: float = Field(
        default=1.0,
        ge=0,
        le=2,
        description="Requests with a higher temperature want another answer each time.",
    )
    false_budget: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="Share of wrong answers that shadow-report allows before it advises to serve.",
    )


class CacheConfig(Section):
    """The caches of a route."""

    enabled: bool = Field(default=False, description="Serve equal requests of one tenant again.")
    ttl_s: Seconds = Field(default=3600.0, description="How long an answer may be served.")
    collapse: bool = Field(
        default=True,
        description="Let equal requests that come at once share one upstream call.",
    )
    semantic: SemanticConfig = Field(
        default_factory=SemanticConfig, description="The same for questions that mean the same."
    )


class CacheStoreConfig(Section):
    """Where answers are kept: in every worker's memory, and in Redis where workers share them."""

    memory_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1024 * 1024,
        description="Memory of a worker's exact cache; some 20,000 answers.",
    )
    semantic_entries: int = Field(
        default=20_000, ge=1, description="Questions a worker keeps for all partitions together."
    )
    url: SecretRef | None = Field(
        default=None,
        description="Redis or Valkey that workers share, e.g. env:REDIS_URL with "
        "redis://:password@host:6379/0; needs the extra redis.",
    )
    namespace: Namespace = Field(
        default="santral", description="First part of every key, to share a Redis with others."
    )
    timeout_ms: float = Field(
        default=50.0,
        gt=0,
        le=5000,
        description="Longest wait for Redis; a slower one is left out for a while.",
    )
    max_entry_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="Largest answer that Redis is given."
    )
    follow_s: Seconds = Field(
        default=120.0,
        description="Longest silence of a shared upstream call before a request asks for itself.",
    )

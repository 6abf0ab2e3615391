"""Settings of a route: its ladder and everything that happens to a request which names it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from santral.config.section import Name, Seconds, Section


class RungConfig(Section):
    """One rung of a route's ladder: deployments that share its traffic by weight."""

    deployments: dict[Name, float] = Field(
        min_length=1, description="Deployment names and their weights."
    )

    @model_validator(mode="after")
    def _weights(self) -> RungConfig:
        if any(w < 0 for w in self.deployments.values()) or not any(self.deployments.values()):
            raise ValueError("weights must not be negative, and one must be above zero")
        return self


class CacheConfig(Section):
    """The exact cache of a route."""

    enabled: bool = Field(
        default=False, description="Serve equal requests of one tenant from memory."
    )
    ttl_s: Seconds = Field(default=3600.0, description="How long an answer may be served.")


class RetrievalRouteConfig(Section):
    """What a route adds to the prompt from a collection."""

    collection: Name = Field(description="The collection to search.")
    top_k: int = Field(default=5, ge=1, le=50, description="Passages given to the model.")
    max_tokens: int = Field(
        default=2000, ge=100, description="Token budget of the passages together."
    )


class RouteConfig(Section):
    """A public model name and everything that happens to a request which names it."""

    ladder: list[RungConfig] = Field(
        min_length=1, description="Rungs in fallback order; each shares its traffic by weight."
    )
    policy: Name | None = Field(default=None, description="A name under [policies].")
    prompt: str | None = Field(
        default=None, description="Prompt to compose with: NAME, NAME@LABEL or NAME@1.2.0."
    )
    experiment: Name | None = Field(default=None, description="A name under [experiments].")
    retrieval: RetrievalRouteConfig | None = Field(default=None, description="Passages to add.")
    cache: CacheConfig = Field(default_factory=CacheConfig, description="The exact cache.")
    output_schema: Path | None = Field(
        default=None, description="JSON Schema file that every answer must match."
    )
    max_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Most output tokens of an answer; a request that asks for more is capped.",
    )
    strict: bool = Field(
        default=False, description="Refuse a request rather than drop a parameter."
    )

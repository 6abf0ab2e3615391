"""Settings of a route: its ladder and everything that happens to a request which names it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from santral.config.caching import CacheConfig
from santral.config.failure import HedgeConfig, LastResortConfig
from santral.config.section import Name, Seconds, Section

#: How the deployments of one rung share its traffic.
StrategyName: TypeAlias = Literal[
    "weighted", "round_robin", "least_busy", "lowest_latency", "cheapest"
]
Percent = Annotated[float, Field(gt=0, le=100)]


class RungConfig(Section):
    """One rung of a route's ladder: deployments that share its traffic."""

    deployments: dict[Name, float] = Field(
        min_length=1, description="Deployment names and their weights."
    )
    name: Name | None = Field(default=None, description="What complexity.tiers calls this rung.")
    strategy: StrategyName | None = Field(
        default=None, description="How they share it; default is the route's."
    )
    canary: dict[Name, Percent] = Field(
        default_factory=dict[Name, float],
        description="Deployments on trial and the percent of users or sessions that get them first.",
    )

    @model_validator(mode="after")
    def _weights(self) -> RungConfig:
        if any(w < 0 for w in self.deployments.values()) or not any(self.deployments.values()):
            raise ValueError("weights must not be negative, and one must be above zero")
        if sum(self.canary.values()) > 100:
            raise ValueError("the percents of canary must not add up to more than 100")
        both = sorted(self.canary.keys() & self.deployments.keys())
        if both:
            raise ValueError(f"'{both[0]}' is in canary and in deployments; leave one")
        return self


class ComplexityConfig(Section):
    """Easy requests go to the first tier, harder ones to later tiers."""

    tiers: list[Name] = Field(
        min_length=2, max_length=4, description="Names of rungs, for the easiest requests first."
    )
    model: Path | None = Field(
        default=None,
        description="Classifier made by `santral routes train`; default is the shipped one.",
    )
    thresholds: list[float] | None = Field(
        default=None,
        description="Scores from 0 to 1 at which the next tier begins, one fewer than tiers; "
        "default is what the classifier was calibrated to.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> ComplexityConfig:
        cuts = self.thresholds
        if cuts is None:
            return self
        if len(cuts) != len(self.tiers) - 1:
            raise ValueError(f"thresholds needs {len(self.tiers) - 1} numbers for these tiers")
        if cuts != sorted(cuts) or not all(0 <= cut <= 1 for cut in cuts):
            raise ValueError("thresholds must rise, from 0 to 1")
        return self


class ShadowConfig(Section):
    """A copy of some requests for deployments whose answers nobody gets."""

    deployments: list[Name] = Field(min_length=1, description="Who gets the copies.")
    share: float = Field(default=0.1, gt=0, le=1, description="Part of the requests copied.")
    when: Literal["after", "beside"] = Field(
        default="after", description="Once the real answer has left, or in parallel with it."
    )
    max_waiting: int = Field(
        default=64, ge=1, le=4096, description="Copies that may wait; further ones are dropped."
    )
    concurrency: int = Field(
        default=2, ge=1, le=64, description="Copies of this route asked at one time, per worker."
    )
    not_tenants: list[Name] = Field(
        default_factory=list[str], description="Ids of tenants whose requests are never copied."
    )


class RetrievalRouteConfig(Section):
    """What a route adds to the prompt from a collection."""

    collection: Name = Field(description="The collection to search.")
    top_k: int = Field(default=5, ge=1, le=50, description="Passages given to the model.")
    max_tokens: int = Field(
        default=2000, ge=100, description="Token budget of the passages together."
    )
    timeout_s: Seconds = Field(
        default=5.0, description="How long a search may take, with rewriting and reranking."
    )
    on_failure: Literal["refuse", "answer-without"] = Field(
        default="refuse",
        description="Where the search fails or takes too long: refuse the request with a 503, or "
        "answer without passages and say so in x-santral-loss.",
    )
    on_weak: Literal["answer-without", "say", "refuse"] = Field(
        default="answer-without",
        description="Where nothing is found that supports an answer (search.min_score): let the "
        "model answer without passages and say so in x-santral-loss, say in unknown_answer that it "
        "is not known, or refuse with a 422.",
    )
    unknown_answer: dict[Name, str] = Field(
        default_factory=lambda: {
            "en": "I don't know: the documents hold no answer to this question.",
            "tr": "Bilmiyorum: belgelerde bu sorunun yanıtı yok.",
        },
        min_length=1,
        description="What on_weak = 'say' says, by the language of the question; the first one "
        "where a language has none.",
    )
    citations: Literal["annotate", "keep", "strip"] = Field(
        default="annotate",
        description="What becomes of marks like [1] in answers. annotate: citations in the form of "
        "the caller's protocol, the marks stay, those of numbers that were not given are taken out; "
        "strip: citations, and no mark stays; keep: the answer as the model wrote it.",
    )


class RouteConfig(Section):
    """A public model name and everything that happens to a request which names it."""

    ladder: list[RungConfig] = Field(
        min_length=1, description="Rungs in fallback order; each shares its traffic by weight."
    )
    policy: Name | None = Field(default=None, description="A name under [policies].")
    prompt: str | None = Field(
        default=None,
        description="Prompt to compose with: NAME, NAME@LABEL or NAME@1.2.0 of the folder of prompts, "
        "or registry:NAME@LABEL of what tenants have registered.",
    )
    experiment: Name | None = Field(default=None, description="A name under [experiments].")
    retrieval: RetrievalRouteConfig | None = Field(default=None, description="Passages to add.")
    cache: CacheConfig = Field(default_factory=CacheConfig, description="Answers kept.")
    output_schema: Path | None = Field(
        default=None, description="JSON Schema file that every answer must match."
    )
    hold: bool = Field(
        default=False,
        description="Every answer waits for a reviewer; a stream is collected first. A check of the "
        "policy can hold single ones with action = 'hold'.",
    )
    hold_wait_s: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="How long a request waits for a reviewer of a held answer before its caller is "
        "told to ask for it later.",
    )
    max_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Most output tokens of an answer; a request that asks for more is capped.",
    )
    strict: bool = Field(
        default=False, description="Refuse a request rather than drop a parameter."
    )
    prompt_cache: Literal["pass", "auto"] = Field(
        default="pass",
        description="auto: mark the parts of a prompt that a provider should cache, where a request "
        "brings no marks of its own; pass: as the request has it.",
    )
    truncate_dimensions: bool = Field(
        default=False,
        description="Cut embeddings that are longer than the asked dimensions and scale them to unit "
        "length; sound for models trained for it (Matryoshka) alone.",
    )
    deadline_s: Seconds | None = Field(
        default=None, description="Time for all attempts together; default is each one's total_s."
    )
    retries: int | None = Field(
        default=None, ge=0, le=10, description="In place of each deployment's own retries."
    )
    on_context_window: list[Name] | None = Field(
        default=None,
        description="Deployments or rungs to ask first when the request is too long for a model; "
        "`[]` asks no other. Default is the rest of the ladder.",
    )
    on_content_policy: list[Name] | None = Field(
        default=None, description="The same when a provider's own filter refused."
    )
    on_rate_limit: list[Name] | None = Field(
        default=None, description="The same when a provider's rate limit refused."
    )
    on_timeout: list[Name] | None = Field(
        default=None, description="The same when a provider was too slow."
    )
    on_server_error: list[Name] | None = Field(
        default=None, description="The same when a provider broke or could not be reached."
    )
    hedge: HedgeConfig | None = Field(
        default=None, description="A second attempt beside one that is slow to begin."
    )
    last_resort: LastResortConfig | None = Field(
        default=None, description="What is answered when every deployment failed."
    )
    early_end: bool = Field(
        default=False,
        description="Stop the provider once the JSON that was asked for is complete.",
    )
    strategy: StrategyName = Field(
        default="weighted",
        description="How the deployments of a rung share its traffic: by weight, in turns, the "
        "least busy, the fastest to a first token, or the cheapest that can.",
    )
    sticky: bool = Field(
        default=False,
        description="Keep a session (else a user) on its deployment while that is healthy.",
    )
    min_quality: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Least measured quality that strategy cheapest takes first.",
    )
    allowed_regions: list[Name] | None = Field(
        default=None,
        description="Regions its requests may go to; eu allows eu-west-1 too. Default is any.",
    )
    complexity: ComplexityConfig | None = Field(
        default=None, description="Choose the rung by how hard the request is."
    )
    shadow: ShadowConfig | None = Field(
        default=None, description="Mirror requests to deployments on trial."
    )

    @model_validator(mode="after")
    def _tiers(self) -> RouteConfig:
        if self.complexity is not None:
            names = [rung.name for rung in self.ladder]
            for tier in self.complexity.tiers:
                if names.count(tier) != 1:
                    raise ValueError(
                        f"complexity.tiers names '{tier}', and {names.count(tier)} rungs of the "
                        "ladder have that name; give exactly one rung name = that"
                    )
        return self

"""Settings of live experiments: arms, who takes part, what is measured, and when they stop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from santral.config.section import Name, Section

#: A metric of requests, or ``score:NAME`` for the scores of that name.
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$|^score:[A-Za-z0-9._-]{1,64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
#: Fields that are no settings of a model: limits reserve by them, and answers are written by them.
_OF_REQUESTS = frozenset(
    ("best_of", "messages", "model", "n", "santral", "stream", "stream_options")
)

#: What one unit may be.
Unit = Literal["user", "session", "key", "request", "tenant"]


class VariantRetrieval(Section):
    """What an arm changes about a route's passages; what is not said stays."""

    collection: Name | None = Field(default=None, description="Another collection to search.")
    top_k: int | None = Field(default=None, ge=1, le=50, description="Passages for the model.")
    max_tokens: int | None = Field(default=None, ge=100, description="Token budget of them.")
    search: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Options of the search, as a request may give them: weights, diversity, rerank.",
    )


class VariantConfig(Section):
    """One arm of an experiment: what is said replaces what the route does, for its units alone."""

    weight: float = Field(ge=0, description="Its share of the units, relative to the others.")
    prompt: str | None = Field(
        default=None, description="Prompt of this arm: NAME@LABEL or NAME@1.2.0."
    )
    route: Name | None = Field(
        default=None,
        description="Route, or deployment by its bare name, whose models answer in place of the own "
        "ladder. Policy, prompt and cache stay those of the route that was asked for.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Settings of the model, e.g. temperature; a request that names one of them "
        "itself takes no part. What the request alone says cannot be one: n, stream, model, "
        "messages.",
    )
    retrieval: VariantRetrieval | None = Field(
        default=None, description="Other passages; for routes with retrieval."
    )
    cache: Literal["off"] | None = Field(default=None, description="off: nothing from a cache.")
    shadow: list[Name] = Field(
        default_factory=list[str],
        description="Deployments that answer every request of this arm unseen, beside the real "
        "answer; what they say is a trace of its own.",
    )

    @field_validator("settings")
    @classmethod
    def _no_part_of_the_request(cls, settings: dict[str, Any]) -> dict[str, Any]:
        wrong = sorted(_OF_REQUESTS.intersection(settings))
        if wrong:
            raise ValueError(f"an arm cannot set {', '.join(wrong)}: the request alone says it")
        return settings

    @property
    def changes(self) -> frozenset[str]:
        """What of a request this arm changes: prompt, models, settings, retrieval, cache."""
        changed = {
            "prompt": self.prompt is not None,
            "models": self.route is not None or bool(self.shadow),
            "settings": bool(self.settings),
            "retrieval": self.retrieval is not None,
            "cache": self.cache is not None,
        }
        return frozenset(name for name, is_changed in changed.items() if is_changed)


class RampStep(Section):
    """One step of a ramp: who takes part, and what has to be seen before the next one."""

    share: float = Field(gt=0, le=1, description="Part of the units that take part.")
    min_hours: float = Field(default=1.0, ge=0, le=8760, description="Least time on this step.")
    min_units: int = Field(
        default=100, ge=0, description="Units that every arm must have seen since the start."
    )


class GuardConfig(Section):
    """A metric that must not get worse: arms fall back to the control when it has."""

    metric: MetricName = Field(description="Its name; latency_p95_ms needs a bound.")
    margin: float | None = Field(
        default=None,
        ge=0,
        description="How much worse than the control an arm may be, as a part of the control's "
        "value: 0.1 is 10 %. For rates (error_rate, refusal_rate, ...) it is a difference: 0.01 is "
        "one point.",
    )
    bound: float | None = Field(
        default=None, description="What no arm may pass, in the metric's own unit."
    )
    must_hold: bool = Field(
        default=False,
        description="Whether a ramp waits until the interval shows that the margin is kept "
        "(non-inferiority); else it goes on unless harm is shown.",
    )

    @model_validator(mode="after")
    def _one_limit(self) -> GuardConfig:
        if (self.margin is None) == (self.bound is None):
            raise ValueError("give either margin or bound")
        if self.metric == "latency_p95_ms" and self.bound is None:
            raise ValueError("latency_p95_ms takes a bound in milliseconds, not a margin")
        return self


class BanditConfig(Section):
    """Weights that follow what is seen: top-two Thompson sampling."""

    metric: MetricName = Field(description="What is to become better.")
    floor: float = Field(
        default=0.05, ge=0.05, le=0.5, description="Least share of every arm, so that all are seen."
    )
    every_minutes: float = Field(default=15.0, ge=1, le=1440, description="How often weights move.")
    min_units: int = Field(
        default=100, ge=10, description="Units of every arm before the first move."
    )


class ExperimentConfig(Section):
    """A live comparison: units are assigned by salted hash, and stay where they are."""

    description: str = Field(default="", max_length=2000, description="What is to be learnt.")
    unit: Unit = Field(
        default="user",
        description="What is assigned; falls back to the key where the request names none.",
    )
    salt: str = Field(min_length=1, max_length=128, description="Changing it assigns anew.")
    routes: list[Name] = Field(
        default_factory=list[str],
        description="Routes whose requests take part, beside those that name it; empty with no "
        "route that names it: none.",
    )
    tags: dict[str, str] = Field(
        default_factory=dict[str, str], description="Only requests with these tags take part."
    )
    tenants: list[Name] = Field(
        default_factory=list[str],
        description="Only these tenants' requests; empty: every tenant's.",
    )
    layer: Name | None = Field(
        default=None,
        description="Experiments of one layer share its units: each unit is in one of them at most.",
    )
    segment: tuple[Share, Share] = Field(
        default=(0.0, 1.0),
        description="The part of the layer's units that is this experiment's: [0.0, 0.5] is the "
        "first half.",
    )
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Part of its units that take part; raising it only adds units.",
    )
    control: Name | None = Field(
        default=None, description="The arm others are compared with; default is the first."
    )
    primary: list[MetricName] = Field(
        default_factory=list[str],
        description="Metrics that decide; their p-values are adjusted together (Holm).",
    )
    expected_units: int = Field(
        default=5000,
        ge=100,
        description="Units at which intervals are to be tightest; they hold at every number.",
    )
    pre_days: float = Field(
        default=14.0,
        ge=0,
        le=365,
        description="Days before the start from which what units did is taken out (CUPED); 0: none.",
    )
    ramp: list[RampStep] = Field(
        default_factory=list[RampStep], description="Steps from few units to all."
    )
    guards: list[GuardConfig] = Field(
        default_factory=list[GuardConfig], description="When it is stopped by itself."
    )
    bandit: BanditConfig | None = Field(default=None, description="Let weights follow the results.")
    variants: dict[Name, VariantConfig] = Field(
        min_length=2, max_length=20, description="The arms."
    )

    @property
    def control_arm(self) -> str:
        """The arm that others are compared with."""
        return self.control or next(iter(self.variants))

    @property
    def layer_name(self) -> str:
        """Its layer, empty for an experiment that shares with none."""
        return self.layer or ""

    @property
    def changes(self) -> frozenset[str]:
        """What of a request its arms change."""
        return frozenset[str]().union(*(arm.changes for arm in self.variants.values()))

    @model_validator(mode="after")
    def _is_possible(self) -> ExperimentConfig:
        if not any(variant.weight for variant in self.variants.values()):
            raise ValueError("one variant must have a weight above zero")
        if self.control is not None and self.control not in self.variants:
            raise ValueError(f"control names '{self.control}', which is no variant")
        if self.segment[0] >= self.segment[1]:
            raise ValueError("segment goes from a lower to a higher share, as [0.0, 0.5]")
        shares = [step.share for step in self.ramp]
        if shares != sorted(shares):
            raise ValueError("the steps of a ramp go up: their shares must not fall")
        if self.bandit is not None and self.bandit.floor * len(self.variants) > 1:
            raise ValueError(
                f"bandit.floor {self.bandit.floor:g} for {len(self.variants)} arms is more than 1"
            )
        return self


class LayerConfig(Section):
    """Units that several experiments share: each unit is in one of them at most."""

    salt: str = Field(
        default="",
        max_length=128,
        description="Changing it cuts the layer anew; its name counts too.",
    )
    holdout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Part of the units that no experiment of the layer ever changes.",
    )

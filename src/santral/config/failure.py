"""Settings of what happens when a deployment fails: hedges and the last resort of a route."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from santral.config.section import Name, Seconds, Section


class HedgeConfig(Section):
    """A second attempt beside one that is slow to begin; the first content wins."""

    after: Literal["p95"] | Seconds = Field(
        default="p95",
        description="Silence before the next deployment is asked too, in seconds; `p95` measures "
        "what 95 of 100 answers of this deployment stay below.",
    )
    max_extra_share: float = Field(
        default=0.05, gt=0, le=1, description="Most hedges, as a part of the route's requests."
    )


class LastResortConfig(Section):
    """What is answered when every deployment failed, marked as degraded."""

    message: str | dict[Literal["tr", "en"], str] | None = Field(
        default=None, description="A text, or one for each language, told by the question."
    )
    deployment: Name | None = Field(
        default=None, description="Or a deployment, such as `extractive`."
    )

    @model_validator(mode="after")
    def _one(self) -> LastResortConfig:
        if bool(self.message) == bool(self.deployment):
            raise ValueError("give either message or deployment")
        return self

"""Settings of guardrail policies and experiments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from santral.config.section import Name, Section


class CheckConfig(Section):
    """One check of a policy; further settings belong to the check."""

    model_config = ConfigDict(frozen=True, extra="allow")

    check: str = Field(description="Its name in the registry of checks.")
    action: Literal["mask", "refuse", "report", "retry"] | None = Field(
        default=None, description="What to do with a finding; default is the check's own."
    )
    on_failure: Literal["closed", "open"] = Field(
        default="closed",
        description="Whether the request is refused or goes on when the check itself fails.",
    )

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class PolicyConfig(Section):
    """Ordered checks on what goes in, what was retrieved and what comes out."""

    input: list[CheckConfig] = Field(
        default_factory=list[CheckConfig], description="Checks on the request."
    )
    retrieved: list[CheckConfig] = Field(
        default_factory=list[CheckConfig], description="Checks on retrieved passages."
    )
    output: list[CheckConfig] = Field(
        default_factory=list[CheckConfig], description="Checks on the answer."
    )


class VariantConfig(Section):
    """One arm of an experiment."""

    weight: float = Field(ge=0, description="Its share of the units, relative to the others.")
    prompt: str | None = Field(
        default=None, description="Prompt of this arm: NAME@LABEL or NAME@1.2.0."
    )


class ExperimentConfig(Section):
    """A live comparison: units are assigned by salted hash, and stay where they are."""

    unit: Literal["user", "session", "key", "request"] = Field(
        default="user",
        description="What is assigned; falls back to the key where the request names none.",
    )
    salt: str = Field(min_length=1, description="Changing it assigns anew.")
    variants: dict[Name, VariantConfig] = Field(min_length=2, description="The arms.")

    @model_validator(mode="after")
    def _some_weight(self) -> ExperimentConfig:
        if not any(variant.weight for variant in self.variants.values()):
            raise ValueError("one variant must have a weight above zero")
        return self

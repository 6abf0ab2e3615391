"""Settings of guardrail policies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from santral.config.section import Section


class CheckConfig(Section):
    """One check of a policy; further settings belong to the check."""

    model_config = ConfigDict(frozen=True, extra="allow")

    check: str = Field(description="Its name in the registry of checks.")
    action: Literal["mask", "refuse", "report", "retry", "hold"] | None = Field(
        default=None,
        description="What to do with a finding; default is the check's own. `hold`, for any check of "
        "answers, lets the answer wait for a reviewer.",
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

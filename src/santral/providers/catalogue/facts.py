"""What is known of a model: what it can do, how much it takes in and gives out."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from santral.config.upstreams import Capability


class ModelFacts(Struct, frozen=True, kw_only=True):
    """Facts about one model. What is not named here is unknown, and unknown is allowed."""

    capabilities: Mapping[Capability, bool] = field(default_factory=dict[Capability, bool])
    context_tokens: int | None = None
    max_output_tokens: int | None = None

    @property
    def lacks(self) -> frozenset[str]:
        """What the model is known not to do."""
        return frozenset(name for name, has in self.capabilities.items() if not has)

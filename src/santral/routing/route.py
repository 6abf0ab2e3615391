"""What a public model name stands for: deployments on rungs, in fallback order."""

from __future__ import annotations

from msgspec import Struct

from santral.config.upstreams import TimeoutsConfig
from santral.providers.provider import Provider


class Deployment(Struct, frozen=True, kw_only=True):
    """One model at one endpoint. ``price`` names a row of the price file, if not kind and model."""

    name: str
    provider: Provider
    kind: str
    model: str
    timeouts: TimeoutsConfig
    price: str | None = None


class Route(Struct, frozen=True, kw_only=True):
    """Rungs in fallback order; the deployments of a rung share its traffic by weight."""

    name: str
    rungs: tuple[tuple[tuple[Deployment, float], ...], ...]

    def is_last_resort(self, deployment: str) -> bool:
        """Whether a deployment stands on the last rung of several: its answers are degraded."""
        if len(self.rungs) < 2:
            return False
        return any(candidate.name == deployment for candidate, _ in self.rungs[-1])

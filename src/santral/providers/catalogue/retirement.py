"""Models that their provider ends soon: who uses them must know before their callers do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from msgspec import Struct

from santral.config.schema import Config
from santral.providers.catalogue.catalogue import Catalogue

#: How long before its end a model is warned about, in days. Chosen: the shortest notice that the large
#: providers promise is 60 days; a quarter leaves time to compare a successor.
WARN_DAYS = 90


class Retirement(Struct, frozen=True):
    """A deployment whose model ends on a day, and the routes that lean on it."""

    deployment: str
    model: str
    ends_on: date
    routes: tuple[str, ...]

    def said(self, today: date) -> str:
        """Return a sentence for people."""
        days = (self.ends_on - today).days
        when = (
            f"ends on {self.ends_on} (in {days} days)"
            if days > 0
            else f"was to end on {self.ends_on}"
        )
        used = f", which {', '.join(self.routes)} use" if self.routes else ""
        return f"deployments.{self.deployment}{used}: its model '{self.model}' {when}. Compare a successor."


def retirements(
    config: Config, catalogue: Catalogue, today: date, within_days: int = WARN_DAYS
) -> list[Retirement]:
    """Return the deployments whose model ends within so many days or has ended, the next ones first."""
    latest = today + timedelta(days=within_days)
    found: list[Retirement] = []
    for name, deployment in config.deployments.items():
        kind = config.providers[deployment.provider].kind
        ends_on = catalogue.ends_on(kind, deployment.model)
        if ends_on is not None and ends_on <= latest:
            routes = tuple(sorted(_routes_with(config, name)))
            found.append(Retirement(name, deployment.model, ends_on, routes))
    return sorted(found, key=lambda one: (one.ends_on, one.deployment))


def _routes_with(config: Config, deployment: str) -> Iterable[str]:
    for name, route in config.routes.items():
        if any(deployment in {**rung.deployments, **rung.canary} for rung in route.ladder):
            yield name

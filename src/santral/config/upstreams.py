"""Settings of what is called: providers, their clocks, deployments."""

from __future__ import annotations

from pydantic import Field

from santral.config.secret import SecretRef
from santral.config.section import Name, Seconds, Section


class ProviderConfig(Section):
    """A vendor or engine: where it is and how to sign in."""

    kind: str = Field(
        default="openai", description="Row of the provider registry: its dialect and quirks."
    )
    base_url: str | None = Field(
        default=None, description="Where its API begins; default from the registry."
    )
    api_key: SecretRef | None = Field(
        default=None, description="Its key, by reference: env:NAME or file:PATH."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers for every call."
    )
    max_connections: int = Field(
        default=256, ge=1, description="Connections kept to it per worker."
    )


class TimeoutsConfig(Section):
    """Four clocks of one attempt, in seconds."""

    connect_s: Seconds = Field(default=5.0, description="Until the connection stands.")
    first_delta_s: Seconds = Field(default=60.0, description="Until the first event with content.")
    between_deltas_s: Seconds = Field(default=30.0, description="Between two events of a stream.")
    total_s: Seconds = Field(default=600.0, description="Until the answer is whole.")


class DeploymentConfig(Section):
    """One model at one endpoint."""

    provider: Name = Field(description="A name under [providers].")
    model: str = Field(min_length=1, description="The model's name at that provider.")
    timeouts: TimeoutsConfig = Field(default_factory=TimeoutsConfig, description="Its clocks.")
    price: str | None = Field(
        default=None,
        description="Row of the price file; default is the provider's kind and the model.",
    )

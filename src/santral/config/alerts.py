"""Settings of alerts: how receivers know that one is ours, and where they may be sent."""

from __future__ import annotations

from pydantic import Field

from santral.config.safekeeping import OutsideRef
from santral.config.section import Section


class AlertsConfig(Section):
    """Alerts about limits and budgets, sent to the webhook of the limit."""

    signing_key: OutsideRef | None = Field(
        default=None,
        description="Key of the signature that every alert carries, e.g. env:SANTRAL_ALERTS_KEY. "
        "Default is one made once in the data folder; santral alerts key prints the one in force.",
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Whether alerts may go to addresses inside the network: loopback, private and "
        "link-local ones.",
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest wait for a receiver to take an alert."
    )
    look_every_s: float = Field(
        default=15.0,
        ge=1,
        le=3600,
        description="How often limits are looked at, and undelivered alerts are sent.",
    )

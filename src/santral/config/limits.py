"""Settings of limits."""

from __future__ import annotations

from pydantic import Field

from santral.config.secret import OutsideRef
from santral.config.section import Section


class LimitsConfig(Section):
    """Limits of each tenant that has none of its own, and where limits are counted."""

    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Sustained rate."
    )
    burst: int | None = Field(
        default=None, ge=1, description="Requests at once; default is the rate."
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="Requests in any 60 seconds."
    )
    requests_per_day: int | None = Field(default=None, ge=1, description="Requests, UTC day.")
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="Input and output in any 60 seconds."
    )
    tokens_per_day: int | None = Field(default=None, ge=1, description="Input and output, UTC day.")
    concurrent_requests: int | None = Field(
        default=None, ge=1, description="Requests that run at once."
    )
    usd_per_hour: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="US dollars in any 60 minutes."
    )
    usd_per_day: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="US dollars, UTC day."
    )
    usd_per_week: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="US dollars, UTC week from Monday on."
    )
    usd_per_month: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="US dollars, UTC month."
    )
    url: OutsideRef | None = Field(
        default=None,
        description="Redis or Valkey that counts for all workers, e.g. `redis://host:6379/0`; "
        "without it each gateway counts in its own memory and runs one worker.",
    )
    namespace: str = Field(
        default="santral", description="What every key in that Redis begins with."
    )
    timeout_ms: int = Field(
        default=50,
        ge=1,
        le=5_000,
        description="Longest wait for that Redis; then rules hold as each of them says.",
    )
    max_waiting: int = Field(
        default=1_000,
        ge=0,
        le=100_000,
        description="Requests of a worker that may wait for room, where their limits let them.",
    )

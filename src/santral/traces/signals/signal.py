"""What the four golden signals say; every figure carries the number it was computed from.

One window, tenant and route hold for all four, and the same requests are left out of each: see
``EXCLUSIONS``. Percentiles are nearest-rank over the requests themselves.
"""

from __future__ import annotations

from msgspec import Struct, field

#: What no signal counts, in words for the reader of a chart.
EXCLUSIONS = (
    "Latency: failed and cancelled requests and cache hits are left out; cache hits are a series "
    "of their own. Requests that shared another's upstream call are in neither.",
    "Cost: requests without a known price add no money; their share is shown.",
)
#: Below this many a percentile in the tail says nothing; show what there is. Chosen.
FEW = 30


class Quantiles(Struct, frozen=True, kw_only=True):
    """A distribution of microseconds; None where nothing was measured."""

    n: int = 0
    p50_us: int | None = None
    p95_us: int | None = None
    p99_us: int | None = None


class Latency(Struct, frozen=True, kw_only=True):
    """Of successful requests that a deployment answered; ``cached`` of those from the cache."""

    ttft: Quantiles = Quantiles()
    total: Quantiles = Quantiles()
    overhead: Quantiles = Quantiles()  # the duration less that of the attempts
    cached: Quantiles = Quantiles()


class Cost(Struct, frozen=True, kw_only=True):
    """``n`` requests used tokens; ``unknown_price`` of them have no price and are not in the sum."""

    n: int = 0
    tokens: dict[str, int] = field(default_factory=dict[str, int])
    cost_nanousd: int = 0
    saved_nanousd: int = 0  # what answers that caches served had cost when they were made
    unknown_price: int = 0
    estimated_usage: int = 0

    @property
    def unknown_share(self) -> float | None:
        return self.unknown_price / self.n if self.n else None


class Tally(Struct, frozen=True, kw_only=True):
    """Verdicts of one check; ``failed`` means that the check itself broke."""

    passed: int = 0
    found: int = 0
    failed: int = 0

    @property
    def n(self) -> int:
        return self.passed + self.found + self.failed


class Quality(Struct, frozen=True, kw_only=True):
    """Of all ``n`` requests; a cache was asked by ``cache_asked`` of them."""

    n: int = 0
    errors: int = 0
    cancelled: int = 0
    degraded: int = 0
    cache_hits: int = 0
    cache_asked: int = 0
    finish_reasons: dict[str, int] = field(default_factory=dict[str, int])
    schema: Tally = Tally()
    citations: Tally = Tally()
    answered: int = 0  # could have been rated by a user
    rated: int = 0  # of them: those that were
    thumbs: int = 0  # of them: those with a thumb
    thumbs_up: int = 0


class Safety(Struct, frozen=True, kw_only=True):
    """Of all ``n`` requests. The three refusals are different things and never one number."""

    n: int = 0
    refused_by_guardrail: int = 0  # requests
    refused_by_model: int = 0  # requests whose answer was a refusal
    refused_by_provider: int = 0  # requests that ended in the provider's content filter
    pii_masked: int = 0  # entities
    pii_requests: int = 0
    injections_blocked: int = 0  # requests
    check_failures: int = 0  # verdicts of checks that broke
    failed_open: int = 0  # of those, the request went on
    checks: dict[str, Tally] = field(default_factory=dict[str, Tally])


class Golden(Struct, frozen=True, kw_only=True):
    """The four signals of one group of requests."""

    n: int = 0
    latency: Latency = Latency()
    cost: Cost = Cost()
    quality: Quality = Quality()
    safety: Safety = Safety()


class Signals(Struct, frozen=True, kw_only=True):
    """The golden signals of a window: of everything, and of each route and tenant."""

    since_us: int
    until_us: int
    route: str
    exclusions: tuple[str, ...]
    total: Golden
    by_route: dict[str, Golden]
    by_tenant: dict[str, Golden]

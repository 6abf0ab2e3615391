"""What a limit is, whom it binds, and which limits one caller has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from santral.config.schema import LimitsConfig

ScopeKind = Literal["tenant", "key"]


class Scope(NamedTuple):
    """Whom a limit binds."""

    kind: ScopeKind
    id: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one scope may use; ``None`` is no limit."""

    requests_per_second: float | None = None
    burst: int | None = None
    tokens_per_day: int | None = None
    #: Requests that may come at once: the size of the bucket that the rate fills.
    capacity: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        rate = self.requests_per_second
        size = self.burst if self.burst is not None else rate
        object.__setattr__(self, "capacity", max(1.0, float(size or 1.0)))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited; a burst without a rate limits nothing."""
        return self.requests_per_second is None and self.tokens_per_day is None


#: One scope and its limits, as a decision takes them.
ScopeLimits = tuple[Scope, Limits]


class LimitBook:
    """The limits of every tenant and key at one moment; a newer book replaces it whole."""

    __slots__ = ("_default", "_known", "_rows")

    def __init__(self, rows: Mapping[Scope, Limits], default: Limits) -> None:
        self._rows = dict(rows)
        self._default = default
        self._known: dict[tuple[str, str], tuple[ScopeLimits, ...]] = {}

    def of(self, tenant_id: str, key_id: str) -> tuple[ScopeLimits, ...]:
        """Return every scope of a caller that has a limit. Remembered: the ids are of known keys."""
        found = self._known.get((tenant_id, key_id))
        if found is None:
            found = self._known[tenant_id, key_id] = self._look_up(tenant_id, key_id)
        return found

    def tenant(self, tenant_id: str) -> Limits:
        """Return a tenant's limits; what it does not set itself comes from the configuration."""
        own = self._rows.get(Scope("tenant", tenant_id), Limits())
        has_rate = own.requests_per_second is not None
        return Limits(
            own.requests_per_second if has_rate else self._default.requests_per_second,
            own.burst if has_rate or own.burst is not None else self._default.burst,
            own.tokens_per_day if own.tokens_per_day is not None else self._default.tokens_per_day,
        )

    def _look_up(self, tenant_id: str, key_id: str) -> tuple[ScopeLimits, ...]:
        key = Scope("key", key_id)
        pairs = (
            (Scope("tenant", tenant_id), self.tenant(tenant_id)),
            (key, self._rows.get(key, Limits())),
        )
        return tuple(pair for pair in pairs if not pair[1].is_empty)


def limits_from(config: LimitsConfig) -> Limits:
    """Return the limits that the configuration gives to tenants without their own."""
    return Limits(config.requests_per_second, config.burst, config.tokens_per_day)

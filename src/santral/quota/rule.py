"""What a limit is: whom it binds, what it counts, over which time, and what happens when it is reached."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from msgspec import Struct

ScopeKind = Literal["tenant", "key", "user", "route", "model", "tag"]
Measure = Literal["requests", "tokens", "concurrent", "usd"]
WindowName = Literal["", "second", "minute", "hour", "day", "week", "month"]
#: What holds while the shared counters cannot be asked: a worker's share, a refusal, no limit.
Uncoordinated = Literal["share", "refuse", "allow"]

SCOPE_KINDS: tuple[ScopeKind, ...] = get_args(ScopeKind)
MEASURES: tuple[Measure, ...] = get_args(Measure)
#: From the shortest to the longest; the empty one, of what is held at once, stands first.
WINDOWS: tuple[WindowName, ...] = get_args(WindowName)

#: In a scope's ``id``: each one for itself, also those that nobody has heard of yet.
EACH = "*"
#: How the ids of rules begin that the configuration gives to whoever has none of its own.
DECLARED = "config."
NANO_PER_USD = 1_000_000_000


class Scope(NamedTuple):
    """Whom a limit binds. The id of a tag is ``name=value``, or ``name=*`` for each of its values."""

    kind: ScopeKind
    id: str


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One limit. A rule whose measure is ``usd`` is a budget.

    ``amount`` is in requests, tokens, requests held at once, or nano-USD; only requests per second
    have a ``rate`` in its place, which may be below one.
    """

    id: str
    tenant_id: str
    scope: Scope
    measure: Measure
    window: WindowName
    is_rolling: bool = False
    amount: int | None = None
    rate: float | None = None
    burst: int | None = None  # requests at once; default is the rate
    time_zone: str = "UTC"
    wait_s: float = 0.0  # how long a request may wait for room
    fall_to: str = ""  # the deployment that answers in place of the route's when it is used up
    warn_at: tuple[float, ...] = ()  # fractions, ascending
    webhook: str = ""
    uncoordinated: Uncoordinated = "share"
    is_dry_run: bool = False  # it counts and is shown, and refuses nothing

    @property
    def limit(self) -> int:
        """The amount; of a rate, the requests that its bucket holds."""
        return self.amount if self.amount is not None else int(self.capacity)

    @property
    def capacity(self) -> float:
        """Requests that may come at once under a rate: one at least."""
        return max(1.0, float(self.burst if self.burst is not None else self.rate or 1.0))

    @property
    def place(self) -> tuple[str, str, str, str, str, bool]:
        """What makes it this rule: another one for the same place replaces it."""
        kind, id_ = self.scope
        return (self.tenant_id, kind, id_, self.measure, self.window, self.is_rolling)

    @property
    def code(self) -> str:
        """The stable code of a refusal by this rule."""
        if self.measure == "usd":
            return "budget_exceeded"
        if self.measure == "concurrent":
            return "concurrent_requests_exceeded"
        return f"{self.measure}_per_{self.window}_exceeded"

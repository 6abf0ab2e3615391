"""What can be asked of stored traces, and what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from santral.errors import BadRequest
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId
from santral.traces.record import TraceRecord
from santral.traces.scores.score import GivenScore
from santral.traces.whose import Whose
from santral.wire.usage import Usage

#: Where a list starts that names no start: every list has a window. Chosen.
DEFAULT_WINDOW_S = 24 * 3600
#: Longest page of a list. Chosen.
MAX_LIMIT = 500
_STATUS = re.compile(r"ok|error|[1-5]xx|[1-5]\d\d")


class Filters(Struct, frozen=True, kw_only=True):
    """Which traces are meant. Empty means all; ``status`` is ok, error, 4xx or 429."""

    since_us: int
    until_us: int
    route: str = ""
    status: str = ""
    error: str = ""  # a part of the error code

    def __post_init__(self) -> None:
        if self.status and not _STATUS.fullmatch(self.status):
            raise BadRequest(
                f"status is '{self.status}'. Use ok, error, a class such as 4xx, or a status "
                "such as 429.",
                param="status",
            )
        if self.since_us >= self.until_us:
            raise BadRequest("since lies after until. Swap them.", param="since")

    @property
    def status_range(self) -> tuple[int, int]:
        """Return the least status meant and the one after the last."""
        if not self.status:
            return 0, 1000
        if self.status in ("ok", "error"):
            return (0, 400) if self.status == "ok" else (400, 1000)
        if self.status.endswith("xx"):
            return int(self.status[0]) * 100, int(self.status[0]) * 100 + 100
        return int(self.status), int(self.status) + 1


class Cursor(Struct, frozen=True):
    """The place in a list after which the next page begins; newest first."""

    started_at_us: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str`` wrote.

        Raises:
            BadRequest: the text is no cursor of ours.
        """
        found = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text)
        if found is None:
            raise BadRequest(
                "before is no cursor of this list. Take it from the field next of a page.",
                param="before",
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.started_at_us}-{self.n}"


class TraceSummary(Struct, frozen=True, kw_only=True):
    """A line of a list: what one sees of a trace without opening it."""

    trace_id: str
    request_id: str
    tenant_id: str
    route: str
    started_at_us: int
    duration_us: int
    status: int
    error: str
    is_streaming: bool
    is_cancelled: bool
    is_degraded: bool
    ttft_us: int | None
    deployment: str
    model: str
    cache: str
    prompt: str
    prompt_version: str
    variant: str
    input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None


class TracePage(Struct, frozen=True):
    """Some lines of a list, and the cursor of what follows."""

    traces: Sequence[TraceSummary]
    next: str | None


class FoundTrace(Struct, frozen=True):
    """One trace, further requests that came with the same ``traceparent``, and the trace's scores."""

    trace: TraceRecord
    others: Sequence[TraceSummary]
    scores: Sequence[GivenScore] = ()


class BilledAttempt(Struct, frozen=True, kw_only=True):
    """What a trace says of an attempt that used or cost something: the ledger must say the same."""

    trace_id: str
    request_id: str
    tenant_id: str
    started_at_us: int  # of the request
    number: int
    deployment: str
    provider: str
    model: str
    purpose: str
    cost_nanousd: int | None
    price_version: str
    price_row: str
    price_variant: str
    usage: Usage


class Bucket(Struct, frozen=True, kw_only=True):
    """What happened in one stretch of a window."""

    start_us: int
    n: int = 0
    errors: int = 0
    p50_us: int | None = None
    p95_us: int | None = None
    cost_nanousd: int = 0


class Progress(Struct, frozen=True, kw_only=True):
    """How far a segment was read, and what became of its records; kept beside the rows."""

    segment: str
    offset: int = 0
    received: int = 0  # frames up to offset, damaged ones too: the ordinal of the last one
    stored: int = 0
    rejected: int = 0
    duplicate: int = 0


def visible_to(principal: Principal, tenant: str) -> Whose:
    """Return whose traces are shown: those of ``tenant``, or of all that ``principal`` may see.

    Raises:
        NotFound: no such tenant, or none that it may see.
        NotAllowed: none of its roles there allows it.
    """
    if not tenant:
        return principal.tenants("traces.read")
    principal.require("traces.read", TenantId(tenant))
    return tenant


def shown_to(principal: Principal, found: FoundTrace) -> FoundTrace:
    """Return a trace without what was said, where ``principal`` may not read that."""
    trace = found.trace
    if principal.may("payloads.read", TenantId(trace.tenant_id)):
        return found
    scores = [replace(score, comment="") for score in found.scores]
    return replace(found, trace=replace(trace, payload=None), scores=scores)


_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_since(text: str, now_us: int) -> int:
    """Return the moment that ``15m``, ``24h``, ``7d`` (ago) or an ISO time means, in microseconds.

    Raises:
        BadRequest: it is none of them.
    """
    ago = _AGO.fullmatch(text or f"{DEFAULT_WINDOW_S}s")
    if ago is not None:
        return now_us - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
    try:
        moment = datetime.fromisoformat(text)
        local = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(local.timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"since is '{text[:40]}'. Give an age such as 15m, 24h or 7d, or a time such as "
            "2026-11-22T10:00+03:00 (UTC where no zone is named).",
            param="since",
        ) from None

"""What can be asked of stored traces, and what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from santral.errors import BadRequest
from santral.traces.record import TraceRecord

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
    """One trace, and further requests of the same distributed trace."""

    trace: TraceRecord
    others: Sequence[TraceSummary]


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

"""One request as monitors see it."""

from __future__ import annotations

from msgspec import Struct, field


class Seen(Struct, frozen=True, kw_only=True):
    """What is compared of a request. Empty texts are texts that were not kept."""

    trace_id: str
    session: str  # what moves together: a session, a user, else the request alone
    at_us: int
    route: str = ""
    prompt: str = ""  # NAME@1.2.0
    model: str = ""
    question: str = ""
    answer: str = ""
    latency_us: int | None = None
    ttft_us: int | None = None
    cost_nanousd: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    is_refused: bool = False
    is_error: bool = False
    is_cached: bool = False
    scores: dict[str, float] = field(default_factory=dict[str, float])

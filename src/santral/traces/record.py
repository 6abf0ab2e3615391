"""The record of one finished request, as a worker spools it and the collector stores it."""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from santral.wire.usage import Usage

#: What follows the route's name in records of mirrored requests, so that no list or sum counts them
#: unless they are asked for by this name. No route can be called so.
SHADOW_SUFFIX = "#shadow"

#: What a trace says of the caches, and those of it that saved an upstream call.
CACHE_OUTCOMES = ("off", "miss", "hit", "semantic", "collapsed")
CACHE_SERVED = CACHE_OUTCOMES[2:]

Attribute = str | int | float | bool


class SpanRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step of a request. Times are microseconds from the start of the trace."""

    id: str  # 16 hex digits
    name: str
    start_us: int
    duration_us: int
    parent_id: str = ""
    error: str = ""  # the stable error code, empty when the step succeeded
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])


class AttemptRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One call to a deployment: what it used and what it cost, also when it failed."""

    number: int
    deployment: str
    provider: str
    model: str
    start_us: int
    duration_us: int
    ttft_us: int | None = None
    error: str = ""
    upstream_status: int | None = None
    finish_reason: str = ""
    usage: Usage | None = None
    cost_nanousd: int | None = None  # None: the price is unknown
    price_version: str = ""
    purpose: str = ""  # empty: to answer; retry, fallback, hedge, last_resort, shadow, embed
    price_row: str = ""  # the row of prices that the deployment names; empty: the model's own
    price_variant: str = ""  # batch, flex, priority, fast, where it was processed so


class VerdictRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a check found and what was done: verdict and action are kept apart."""

    check: str
    place: str  # input, retrieved, output
    verdict: str  # passed, found, failed (the check itself broke)
    action: str  # allow, mask, refuse, report, retry
    reason: str = ""
    count: int = 0
    duration_us: int = 0


class SourceRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A passage that was given to the model."""

    number: int
    chunk_id: str
    document: str
    section: str = ""
    page: int | None = None
    score: float = 0.0
    is_cited: bool = False
    collection: str = ""
    document_id: str = ""


class ExposureRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The arm of an experiment that a request saw, and how likely that was: what analyses weigh by."""

    experiment: str
    variant: str
    unit: str  # 16 hex digits: keyed hash of who or what was assigned
    propensity: float
    is_holdout: bool = False  # kept out of every change of the experiment's layer


class Payload(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was said, after masking: kept apart from the row, by the tenant's logging policy."""

    request: str  # JSON: the messages as they were sent to the provider, or what stands for each
    response: str  # the answer's text, or JSON of what stands for it
    is_sealed: bool = False  # both are sealed under the tenant's data key, in base 64
    waits_under: str = ""  # in the spool alone: the wrapped key under which a worker sealed both


class TraceRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Everything about one request. ``trace_id`` is unique: storing a record twice changes nothing."""

    trace_id: str  # 32 hex digits, ours: one request, one trace
    request_id: str
    tenant_id: str
    key_id: str
    route: str
    requested_model: str
    started_at_us: int  # microseconds since the Unix epoch
    duration_us: int
    status: int  # HTTP status the caller saw
    dialect: str = "chat"
    is_streaming: bool = False
    is_cancelled: bool = False  # the client left before the end
    is_degraded: bool = False  # a last-rung deployment answered
    error: str = ""
    caller_trace_id: str = ""  # from the caller's traceparent; many requests may share it
    parent_span_id: str = ""
    ttft_us: int | None = None
    finish_reason: str = ""
    deployment: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    cost_nanousd: int | None = None
    price_version: str = ""
    cache: str = "off"  # one of CACHE_OUTCOMES
    cache_entry: str = ""  # the beginning of the key of the answer that was kept or served
    cache_similarity: float = 0.0  # of the question whose answer was given, or would have been
    cache_saved_nanousd: int = 0  # what making the answer has cost, when that was saved
    prompt: str = ""
    prompt_version: str = ""
    experiment: str = ""
    variant: str = ""
    session: str = ""
    user: str = ""
    config_hash: str = ""
    response_id: str = ""  # as the caller saw it, where the answer had one: feedback names it
    tags: dict[str, str] = field(default_factory=dict[str, str])
    losses: list[str] = field(default_factory=list[str])  # parameters dropped or changed
    decision: dict[str, Attribute] = field(default_factory=dict[str, Attribute])  # of routing
    spans: list[SpanRecord] = field(default_factory=list[SpanRecord])
    attempts: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    verdicts: list[VerdictRecord] = field(default_factory=list[VerdictRecord])
    sources: list[SourceRecord] = field(default_factory=list[SourceRecord])
    exposures: list[ExposureRecord] = field(default_factory=list[ExposureRecord])
    payload: Payload | None = None


encode_record = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(TraceRecord)


def decode_record(data: bytes) -> TraceRecord:
    """Read one spooled record.

    Raises:
        msgspec.DecodeError: the bytes are not a record.
    """
    return _decoder.decode(data)

"""Records a request when it ends, however it ends: spool, metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType

from santral.config.schema import TelemetryConfig
from santral.errors import SantralError
from santral.gateway.context import CLIENT_LEFT, RequestContext
from santral.gateway.stages.payload import payload_of
from santral.providers.batch.deferred import Deferred
from santral.traces.observe import RequestMetrics
from santral.traces.record import AttemptRecord, SourceRecord, SpanRecord, TraceRecord
from santral.traces.spool import Spool
from santral.traces.waiting import waiting
from santral.wire.marks import cited_numbers
from santral.wire.usage import Usage

#: The status of a request whose caller left before the answer. Source: nginx's 499.
LEFT_STATUS = 499
#: The status of a request that a stopping gateway ended.
STOPPED_STATUS = 503
#: Longest name of a user or session that is kept. Chosen.
MAX_NAME = 128
#: Dropped records are counted one by one and logged at most this often, in seconds. Chosen.
LOG_EVERY_S = 10.0

log = logging.getLogger(__name__)


class Trace:
    """Makes one ``TraceRecord`` of every request and spools it before the answer's last byte leaves."""

    def __init__(self, spool: Spool, metrics: RequestMetrics, telemetry: TelemetryConfig) -> None:
        self.spool = spool
        self.metrics = metrics
        self.telemetry = telemetry
        #: Hears of every request that has ended, where somebody in this process wants to know.
        self.witness: Callable[[RequestContext, TraceRecord], None] | None = None
        self._logged_at = float("-inf")

    def log_drop(self, ctx: RequestContext) -> None:
        """Say that a record could not be kept: its trace and its row of the ledger are lost."""
        now = ctx.clock()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            log.error(
                "trace_dropped",
                extra={
                    "reason": "the spool is full or its disk takes nothing more",
                    "dropped": self.spool.dropped,
                    "trace_id": ctx.trace_id,
                },
            )

    def __call__(self, ctx: RequestContext) -> _Recorded:
        return _Recorded(ctx, self)


class _Recorded:
    __slots__ = ("_ctx", "_trace")

    def __init__(self, ctx: RequestContext, trace: Trace) -> None:
        self._ctx = ctx
        self._trace = trace

    async def __aenter__(self) -> None:
        return

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ctx = self._ctx
        if isinstance(error, Deferred):
            return  # a batch collected the call: its record is made when the answer is there
        status, code = _outcome(error, ctx)
        record = build_record(ctx, status, code, self._trace.telemetry)
        if not self._trace.spool.append(record):
            self._trace.log_drop(ctx)
        self._trace.metrics.observe(record)
        if self._trace.witness is not None:
            self._trace.witness(ctx, record)


def _outcome(error: BaseException | None, ctx: RequestContext) -> tuple[int, str]:
    if error is None:
        return 200, ""
    if isinstance(error, SantralError):
        return error.status, error.detail_code
    if isinstance(error, asyncio.CancelledError):
        code = ctx.interruption
        return (LEFT_STATUS if code == CLIENT_LEFT else STOPPED_STATUS), code
    return 500, SantralError.code


def build_record(
    ctx: RequestContext, status: int, code: str, telemetry: TelemetryConfig
) -> TraceRecord:
    """Return everything that is known about a request as one record."""
    last = ctx.attempts[-1] if ctx.attempts else None
    duration_us = ctx.elapsed_us()
    asked = ctx.asked
    extras = asked.extras if asked is not None else None
    record = TraceRecord(
        trace_id=ctx.trace_id,
        request_id=ctx.request_id,
        tenant_id=ctx.caller.tenant.id,
        key_id=ctx.caller.key.id,
        route=ctx.route.name if hasattr(ctx, "route") else "",
        requested_model=ctx.requested_model[:128],
        started_at_us=ctx.started_at_us,
        duration_us=duration_us,
        status=status,
        dialect=ctx.dialect.name,
        losses=ctx.losses.names(),
        decision=ctx.route_decision,
        is_streaming=bool(asked is not None and asked is not ctx.task and asked.view.stream),
        is_cancelled=status == LEFT_STATUS,
        is_degraded=ctx.is_degraded,
        error=code,
        caller_trace_id=ctx.caller_trace_id,
        parent_span_id=ctx.parent_span_id,
        ttft_us=ctx.ttft_us,
        finish_reason=last.finish_reason if last else "",
        deployment=last.deployment if last else "",
        provider=last.provider if last else "",
        model=last.model if last else "",
        usage=total_usage(ctx.attempts),
        cost_nanousd=total_cost(ctx.attempts),
        price_version=last.price_version if last else "",
        cache=ctx.cache,
        cache_entry=ctx.cache_entry,
        cache_similarity=round(ctx.cache_similarity, 4),
        cache_saved_nanousd=ctx.cache_saved_nanousd,
        prompt=ctx.prompt,
        prompt_version=ctx.prompt_version,
        experiment=ctx.experiment,
        variant=ctx.variant,
        session=session_of(ctx),
        user=user_of(ctx),
        config_hash=ctx.snapshot.digest,
        response_id=ctx.response_id[:200],
        tags=extras.tags if extras else {},
        spans=[_root(ctx, duration_us, code), *ctx.spans],
        attempts=ctx.attempts,
        verdicts=ctx.verdicts,
        sources=_sources(ctx),
        exposures=ctx.exposures,
        payload=payload_of(ctx, telemetry) if extras is not None else None,
    )
    box = ctx.snapshot.spool_box
    return record if box is None else waiting(record, box)


def user_of(ctx: RequestContext) -> str:
    """Return the end user that a request names, else the user whose key it came with, or nothing."""
    asked = ctx.asked
    named = "" if asked is None else asked.extras.user or asked.view.user
    return (named or ctx.caller.key.user_id or "")[:MAX_NAME]


def session_of(ctx: RequestContext) -> str:
    """Return the session that a request names, or nothing."""
    asked = ctx.asked
    return "" if asked is None else (asked.extras.session or "")[:MAX_NAME]


def total_cost(attempts: list[AttemptRecord]) -> int | None:
    """Return what the attempts cost together, or None when the price of one is unknown."""
    total = 0
    for attempt in attempts:
        if attempt.cost_nanousd is None:
            return None
        total += attempt.cost_nanousd
    return total


def total_usage(attempts: list[AttemptRecord]) -> Usage | None:
    """Return the sum of what the attempts used, or None when none reported anything."""
    total: Usage | None = None
    for attempt in attempts:
        if attempt.usage is not None:
            total = attempt.usage if total is None else total.plus(attempt.usage)
    return total


def _root(ctx: RequestContext, duration_us: int, code: str) -> SpanRecord:
    return SpanRecord(
        id=ctx.root_span_id, name="request", start_us=0, duration_us=duration_us, error=code
    )


def _sources(ctx: RequestContext) -> list[SourceRecord]:
    if not ctx.sources:
        return []
    cited = cited_numbers(ctx.answer_text)
    return [
        SourceRecord(
            number=source.number,
            chunk_id=source.chunk_id,
            document=source.document,
            section=source.section,
            page=source.page,
            score=round(source.score, 4),
            is_cited=source.number in cited,
            collection=source.collection,
            document_id=source.document_id,
        )
        for source in ctx.sources
    ]

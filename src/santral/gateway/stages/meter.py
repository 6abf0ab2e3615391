"""What one attempt used and cost, whatever became of it."""

from __future__ import annotations

from santral.gateway.context import CLIENT_LEFT, HEDGE_LOST, STOPPING, RequestContext
from santral.providers.batch.deferred import SLOT
from santral.routing.route import Deployment
from santral.traces.record import AttemptRecord
from santral.wire.delta import Delta
from santral.wire.usage import BYTES_PER_TOKEN, Usage

#: Ends that are ours: the provider was at work, and bills what it read.
_OUR_ENDS = (CLIENT_LEFT, STOPPING, HEDGE_LOST)

#: Service tiers that have prices of their own. Source: OpenAI's, Anthropic's and Google's price pages.
TIERS = frozenset({"batch", "flex", "priority", "fast"})


class Meter:
    """Counts one attempt's deltas; tokens come from the provider, or are estimated and marked so."""

    __slots__ = (
        "_characters",
        "_ctx",
        "_deployment",
        "_error",
        "_finish_reason",
        "_is_cut",
        "_purpose",
        "_service_tier",
        "_start_us",
        "_ttft_us",
        "_upstream_status",
        "_usage",
    )

    def __init__(self, ctx: RequestContext, deployment: Deployment, purpose: str = "") -> None:
        self._ctx = ctx
        self._deployment = deployment
        self._purpose = purpose
        self._service_tier = ""
        self._start_us = ctx.elapsed_us()
        self._ttft_us: int | None = None
        self._usage: Usage | None = None
        self._characters = 0
        self._finish_reason = ""
        self._error = ""
        self._upstream_status: int | None = None
        self._is_cut = False

    def take(self, delta: Delta) -> None:
        """Count one delta; a later usage replaces an earlier one, as providers report totals."""
        if delta.usage is not None:
            self._usage = delta.usage.believed()
        if delta.service_tier in TIERS:
            self._service_tier = delta.service_tier
        for choice in delta.choices:
            self._characters += len(choice.text) + len(choice.refusal) + len(choice.reasoning)
            for call in choice.tool_calls:
                self._characters += len(call.name) + len(call.arguments)
            if choice.finish_reason:
                self._finish_reason = choice.finish_reason
        if self._ttft_us is None and self._characters:
            self._ttft_us = self._ctx.elapsed_us() - self._start_us

    def failed(self, code: str, upstream_status: int | None) -> None:
        self._error = code
        self._upstream_status = upstream_status

    def cut(self) -> Usage:
        """Note that we ended the answer; return what it used so far, estimated."""
        self._is_cut = True
        self._finish_reason = "stop"
        return self._used()

    def silent_s(self) -> float:
        """Seconds to the first content, or until now where none has come."""
        us = self._ttft_us
        return (self._ctx.elapsed_us() - self._start_us if us is None else us) / 1e6

    def record(self) -> AttemptRecord:
        """Return the attempt; one that produced nothing before it failed used nothing."""
        usage = self._used()
        variant = self._variant()
        cost = self._ctx.snapshot.prices.cost(
            self._deployment.kind,
            self._deployment.price or self._deployment.model,
            usage,
            self._ctx.started_at_us,
            variant,
        )
        return AttemptRecord(
            number=len(self._ctx.attempts) + 1,
            deployment=self._deployment.name,
            provider=self._deployment.kind,
            model=self._deployment.model,
            start_us=self._start_us,
            duration_us=self._ctx.elapsed_us() - self._start_us,
            ttft_us=self._ttft_us,
            error=self._error,
            upstream_status=self._upstream_status,
            finish_reason=self._finish_reason,
            usage=usage,
            cost_nanousd=cost.nanousd if usage.total_tokens else 0,
            price_version=cost.price_version,
            purpose=self._purpose,
            price_row=self._deployment.price or "",
            price_variant=variant,
        )

    def _variant(self) -> str:
        """Return the way in which the provider worked, where it has a price of its own."""
        slot = SLOT.get()
        return "batch" if slot is not None and slot.was_taken() else self._service_tier

    def _used(self) -> Usage:
        if self._usage is None:
            return self._estimate()
        return self._completed(self._usage) if self._is_cut else self._usage

    def _estimate(self) -> Usage:
        if self._error and not self._characters and self._error not in _OUR_ENDS:
            return Usage()
        return Usage(
            input_uncached=self._ctx.unit_tokens,
            output_text=int(self._characters / BYTES_PER_TOKEN),
            is_estimated=True,
        )

    def _completed(self, reported: Usage) -> Usage:
        """Return a report that came before the end with the output that came after it."""
        missing = self._estimate().output_tokens - reported.output_tokens
        return reported.plus(Usage(output_text=max(0, missing), is_estimated=True))

"""Guardrail verdicts in the trace."""

from __future__ import annotations

from collections.abc import Iterable

from santral.gateway.context import RequestContext
from santral.guardrails.verdict import Verdict
from santral.traces.record import VerdictRecord


def note(ctx: RequestContext, verdicts: Iterable[Verdict], place: str) -> None:
    """Add what the checks said to the trace."""
    ctx.verdicts.extend(
        VerdictRecord(
            check=verdict.check,
            place=place,
            verdict=verdict.verdict,
            action=verdict.action,
            reason=verdict.reason,
            count=verdict.count,
            duration_us=verdict.duration_us,
        )
        for verdict in verdicts
    )

"""The nouns of the ledger: a row for each billed attempt, and the sum of rows."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
from msgspec import Struct

from santral.traces.record import AttemptRecord, TraceRecord
from santral.wire.usage import Usage

#: What an attempt used. A correction will be a row of another kind.
SETTLE = "settle"
#: What a mirrored request used: known to the operator, in nobody's balance and limits.
SHADOW = "shadow"

_MICROSECONDS = 1_000_000


class LedgerRow(Struct, frozen=True, kw_only=True):
    """What one attempt used. ``(request_id, attempt, kind)`` is written once, however often sent."""

    request_id: str
    attempt: int
    kind: str
    tenant_id: str
    key_id: str
    route: str
    deployment: str
    provider: str
    model: str
    day: date  # UTC day on which the request began
    occurred_at: datetime
    input_uncached: int
    cache_read: int
    cache_write: int
    output_text: int
    reasoning: int
    is_estimated: bool
    cache_write_1h: int
    input_audio: int
    input_image: int
    output_audio: int
    output_image: int
    cost_nanousd: int | None  # None: the price is unknown, which is not zero
    price_version: str


class Balance(Struct, frozen=True, kw_only=True):
    """The sum of ledger rows. With ``unpriced`` above zero the cost is a lower bound."""

    attempts: int = 0
    tokens: int = 0
    cost_nanousd: int = 0
    unpriced: int = 0  # rows whose price is unknown
    estimated: int = 0  # rows whose tokens we counted ourselves


def ledger_rows(record: TraceRecord) -> list[LedgerRow]:
    """Return one row for each attempt that used or cost something, failed and cancelled ones too."""
    began = datetime.fromtimestamp(record.started_at_us // _MICROSECONDS, UTC)
    return [
        _row(record, attempt, began)
        for attempt in record.attempts
        if attempt.usage is not None or attempt.cost_nanousd is not None
    ]


def _row(record: TraceRecord, attempt: AttemptRecord, began: datetime) -> LedgerRow:
    usage = attempt.usage or Usage()
    return LedgerRow(
        request_id=record.request_id,
        attempt=attempt.number,
        kind=SHADOW if attempt.purpose == SHADOW else SETTLE,
        tenant_id=record.tenant_id,
        key_id=record.key_id,
        route=record.route,
        deployment=attempt.deployment,
        provider=attempt.provider,
        model=attempt.model,
        day=began.date(),
        occurred_at=began,
        **msgspec.structs.asdict(usage),
        cost_nanousd=attempt.cost_nanousd,
        price_version=attempt.price_version,
    )

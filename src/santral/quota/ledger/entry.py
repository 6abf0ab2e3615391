"""The nouns of the ledger: a row for each billed attempt, and the sum of rows."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
from msgspec import Struct, field

from santral.traces.record import AttemptRecord, TraceRecord
from santral.wire.usage import CLASSES, Usage

#: What an attempt used. A correction is a row of another kind.
SETTLE = "settle"
#: How the kind of a correction begins that a replay with other prices made; their version follows.
REPRICE = "reprice:"
#: What a mirrored request used: known to the operator, in nobody's balance and limits.
SHADOW = "shadow"

#: How the user of a row is called whose personal data was erased: the trace of it may be gone.
ERASED = "erased-"

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
    user_id: str = ""  # of the application's user, as the request named it
    prompt: str = ""  # name@version
    tags: dict[str, str] = field(default_factory=dict[str, str])
    occurred_s: int = 0  # occurred_at, in seconds since 1970
    price_row: str = ""  # the row of prices that the deployment names; empty: the model's own
    price_variant: str = ""  # the way it was processed, where that has a price of its own
    unpriced: int = 0  # 1: the price is unknown; -1: a correction that gives it


class Place(Struct, frozen=True):
    """How far rows were read, in the order of time."""

    occurred_s: int
    request_id: str = ""
    attempt: int = -1
    kind: str = ""

    @classmethod
    def of(cls, row: LedgerRow) -> Place:
        """Return the place of a row: what comes after it was not read yet."""
        return cls(row.occurred_s, row.request_id, row.attempt, row.kind)


class Balance(Struct, frozen=True, kw_only=True):
    """The sum of ledger rows. With ``unpriced`` above zero the cost is a lower bound."""

    attempts: int = 0
    tokens: int = 0
    cost_nanousd: int = 0
    unpriced: int = 0  # rows whose price is unknown
    estimated: int = 0  # rows whose tokens we counted ourselves


class Used(Struct, frozen=True, kw_only=True):
    """What some rows used together: attempts and their corrections."""

    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanousd: int = 0
    corrected_nanousd: int = 0  # the part of the cost that corrections made
    unpriced: int = 0
    estimated: int = 0

    def plus(self, other: Used) -> Used:
        """Return the sum of both."""
        names = self.__struct_fields__
        return Used(**{name: getattr(self, name) + getattr(other, name) for name in names})


def usage_of(row: LedgerRow) -> Usage:
    """Return what the attempt of a row used."""
    counts = {name: getattr(row, name) for name in CLASSES}
    return Usage(**counts, is_estimated=row.is_estimated)


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
        user_id=_storable(record.user),
        prompt=f"{record.prompt}@{record.prompt_version}" if record.prompt else "",
        tags={_storable(name): _storable(value) for name, value in record.tags.items()},
        occurred_s=record.started_at_us // _MICROSECONDS,
        price_row=attempt.price_row,
        price_variant=attempt.price_variant,
        unpriced=int(attempt.cost_nanousd is None),
    )


def _storable(text: str) -> str:
    """Return what a caller named without the one character that PostgreSQL keeps in no text."""
    return text.replace("\0", "\ufffd")

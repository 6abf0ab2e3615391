"""Records as columns of the telemetry store, and rows of the store as records.

A row of ``traces`` is numbered ``n``; what belongs to it carries the same number, so that joins are
of integers and reach only the blocks of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec
import numpy as np

from santral.traces.observe import overhead_us
from santral.traces.record import (
    AttemptRecord,
    ExposureRecord,
    Payload,
    SourceRecord,
    SpanRecord,
    TraceRecord,
    VerdictRecord,
)
from santral.wire.usage import CLASSES, Usage

#: The billing classes in the order of columns: classes that came later stand last.
_USAGE = (*((name, "BIGINT") for name in CLASSES), ("is_estimated", "BOOLEAN"))
_OWNER = (("n", "BIGINT"), ("tenant_id", "VARCHAR"))

#: Every table of the telemetry store that holds what records say: its columns and their types.
TABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "traces": (
        *_OWNER,
        ("trace_id", "VARCHAR"),
        ("request_id", "VARCHAR"),
        ("key_id", "VARCHAR"),
        ("route", "VARCHAR"),
        ("requested_model", "VARCHAR"),
        ("started_at_us", "BIGINT"),
        ("duration_us", "BIGINT"),
        ("status", "BIGINT"),
        ("dialect", "VARCHAR"),
        ("is_streaming", "BOOLEAN"),
        ("is_cancelled", "BOOLEAN"),
        ("is_degraded", "BOOLEAN"),
        ("error", "VARCHAR"),
        ("caller_trace_id", "VARCHAR"),
        ("parent_span_id", "VARCHAR"),
        ("ttft_us", "BIGINT"),
        ("finish_reason", "VARCHAR"),
        ("deployment", "VARCHAR"),
        ("provider", "VARCHAR"),
        ("model", "VARCHAR"),
        ("cost_nanousd", "BIGINT"),
        ("price_version", "VARCHAR"),
        ("cache", "VARCHAR"),
        ("cache_entry", "VARCHAR"),
        ("cache_similarity", "DOUBLE"),
        ("cache_saved_nanousd", "BIGINT"),
        ("prompt", "VARCHAR"),
        ("prompt_version", "VARCHAR"),
        ("experiment", "VARCHAR"),
        ("variant", "VARCHAR"),
        ("session", "VARCHAR"),
        ("user", "VARCHAR"),
        ("config_hash", "VARCHAR"),
        ("response_id", "VARCHAR"),
        ("tags", "VARCHAR"),
        ("losses", "VARCHAR"),
        ("decision", "VARCHAR"),
        ("overhead_us", "BIGINT"),
        *_USAGE,
    ),
    "spans": (
        *_OWNER,
        ("id", "VARCHAR"),
        ("name", "VARCHAR"),
        ("start_us", "BIGINT"),
        ("duration_us", "BIGINT"),
        ("parent_id", "VARCHAR"),
        ("error", "VARCHAR"),
        ("attributes", "VARCHAR"),
    ),
    "attempts": (
        *_OWNER,
        ("number", "BIGINT"),
        ("deployment", "VARCHAR"),
        ("provider", "VARCHAR"),
        ("model", "VARCHAR"),
        ("start_us", "BIGINT"),
        ("duration_us", "BIGINT"),
        ("ttft_us", "BIGINT"),
        ("error", "VARCHAR"),
        ("upstream_status", "BIGINT"),
        ("finish_reason", "VARCHAR"),
        ("cost_nanousd", "BIGINT"),
        ("price_version", "VARCHAR"),
        ("purpose", "VARCHAR"),
        ("price_row", "VARCHAR"),
        ("price_variant", "VARCHAR"),
        *_USAGE,
    ),
    "verdicts": (
        *_OWNER,
        ("check", "VARCHAR"),
        ("place", "VARCHAR"),
        ("verdict", "VARCHAR"),
        ("action", "VARCHAR"),
        ("reason", "VARCHAR"),
        ("count", "BIGINT"),
        ("duration_us", "BIGINT"),
    ),
    "sources": (
        *_OWNER,
        ("number", "BIGINT"),
        ("chunk_id", "VARCHAR"),
        ("document", "VARCHAR"),
        ("section", "VARCHAR"),
        ("page", "BIGINT"),
        ("score", "DOUBLE"),
        ("is_cited", "BOOLEAN"),
        ("collection", "VARCHAR"),
        ("document_id", "VARCHAR"),
    ),
    "exposures": (
        *_OWNER,
        ("experiment", "VARCHAR"),
        ("variant", "VARCHAR"),
        ("unit", "VARCHAR"),
        ("propensity", "DOUBLE"),
        ("is_holdout", "BOOLEAN"),
    ),
    "payloads": (
        *_OWNER,
        ("request", "VARCHAR"),
        ("response", "VARCHAR"),
        ("is_sealed", "BOOLEAN"),
    ),
}

Row = tuple[Any, ...]
Columns = dict[str, "np.ndarray[Any, Any]"]

_dumps = msgspec.json.Encoder().encode
_NO_USAGE: Row = (None,) * len(_USAGE)
#: Columns of ``traces`` that hold a field of the record as JSON.
_AS_JSON = ("tags", "losses", "decision")
#: Columns of ``traces`` that are a field of the record as it is, in order.
_PLAIN = tuple(
    name
    for name, _ in TABLES["traces"][1:]
    if name not in {*_AS_JSON, "overhead_us", *dict(_USAGE)}
)


def columns_of(records: Sequence[TraceRecord], first: int) -> dict[str, Columns]:
    """Return the columns to insert into each table; rows are numbered from ``first``.

    Raises:
        OverflowError: a number of a record does not fit 64 bits.
    """
    numbered = list(zip(count(first), records, strict=False))
    rows: dict[str, Iterable[Row]] = {
        "traces": [_trace_row(n, record) for n, record in numbered],
        "spans": [_span_row(n, r.tenant_id, s) for n, r in numbered for s in r.spans],
        "attempts": [_attempt_row(n, r.tenant_id, a) for n, r in numbered for a in r.attempts],
        "verdicts": [_verdict_row(n, r.tenant_id, v) for n, r in numbered for v in r.verdicts],
        "sources": [_source_row(n, r.tenant_id, s) for n, r in numbered for s in r.sources],
        "exposures": [_exposure_row(n, r.tenant_id, e) for n, r in numbered for e in r.exposures],
        "payloads": [
            (n, r.tenant_id, r.payload.request, r.payload.response, r.payload.is_sealed)
            for n, r in numbered
            if r.payload is not None
        ],
    }
    return {table: _columns(TABLES[table], table_rows) for table, table_rows in rows.items()}


def storable(records: Sequence[TraceRecord]) -> list[TraceRecord]:
    """Return the records whose numbers fit: one that does not must not keep the others out."""
    return [record for record in records if _fits(record)]


def record_of(trace: Row, children: Mapping[str, Sequence[Row]]) -> TraceRecord:
    """Return the record whose row of ``traces`` and rows of other tables these are."""
    fields = _named("traces", trace)
    for name in _AS_JSON:
        fields[name] = msgspec.json.decode(fields[name])
    del fields["overhead_us"]
    fields["usage"] = _take_usage(fields)
    return TraceRecord(
        **fields,
        spans=[_span_of(_named("spans", row)) for row in children["spans"]],
        attempts=[_attempt_of(_named("attempts", row)) for row in children["attempts"]],
        verdicts=[VerdictRecord(**_named("verdicts", row)) for row in children["verdicts"]],
        sources=[SourceRecord(**_named("sources", row)) for row in children["sources"]],
        exposures=[ExposureRecord(**_named("exposures", row)) for row in children["exposures"]],
        payload=next((Payload(**_named("payloads", row)) for row in children["payloads"]), None),
    )


def _fits(record: TraceRecord) -> bool:
    try:
        columns_of([record], 1)
    except OverflowError:
        return False
    return True


def _columns(columns: tuple[tuple[str, str], ...], rows: Iterable[Row]) -> Columns:
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return {name: _array(kind, value) for (name, kind), value in zip(columns, values, strict=True)}


def _array(kind: str, values: Sequence[Any]) -> np.ndarray[Any, Any]:
    if kind == "VARCHAR":
        return np.array(values, dtype=object)
    dtype = {"BIGINT": np.int64, "BOOLEAN": np.bool_, "DOUBLE": np.float64}[kind]
    if None not in values:
        return np.array(values, dtype=dtype)
    filled = [0 if value is None else value for value in values]
    return np.ma.masked_array(  # pyright: ignore[reportUnknownMemberType]
        np.array(filled, dtype=dtype), mask=[value is None for value in values]
    )


def _trace_row(n: int, record: TraceRecord) -> Row:
    return (
        n,
        *[getattr(record, name) for name in _PLAIN],
        _json(record.tags),
        _json(record.losses, "[]"),
        _json(record.decision),
        overhead_us(record.duration_us, record.attempts),
        *_usage_row(record.usage),
    )


def _span_row(n: int, tenant_id: str, span: SpanRecord) -> Row:
    return (
        n,
        tenant_id,
        span.id,
        span.name,
        span.start_us,
        span.duration_us,
        span.parent_id,
        span.error,
        _json(span.attributes),
    )


def _attempt_row(n: int, tenant_id: str, attempt: AttemptRecord) -> Row:
    return (
        n,
        tenant_id,
        attempt.number,
        attempt.deployment,
        attempt.provider,
        attempt.model,
        attempt.start_us,
        attempt.duration_us,
        attempt.ttft_us,
        attempt.error,
        attempt.upstream_status,
        attempt.finish_reason,
        attempt.cost_nanousd,
        attempt.price_version,
        attempt.purpose,
        attempt.price_row,
        attempt.price_variant,
        *_usage_row(attempt.usage),
    )


def _verdict_row(n: int, tenant_id: str, verdict: VerdictRecord) -> Row:
    return (
        n,
        tenant_id,
        verdict.check,
        verdict.place,
        verdict.verdict,
        verdict.action,
        verdict.reason,
        verdict.count,
        verdict.duration_us,
    )


def _source_row(n: int, tenant_id: str, source: SourceRecord) -> Row:
    return (
        n,
        tenant_id,
        source.number,
        source.chunk_id,
        source.document,
        source.section,
        source.page,
        source.score,
        source.is_cited,
        source.collection,
        source.document_id,
    )


def _exposure_row(n: int, tenant_id: str, exposure: ExposureRecord) -> Row:
    return (
        n,
        tenant_id,
        exposure.experiment,
        exposure.variant,
        exposure.unit,
        exposure.propensity,
        exposure.is_holdout,
    )


def _usage_row(usage: Usage | None) -> Row:
    if usage is None:
        return _NO_USAGE
    return tuple(getattr(usage, name) for name, _ in _USAGE)


def _json(value: Mapping[str, Any] | Sequence[str], empty: str = "{}") -> str:
    return _dumps(value).decode() if value else empty


def _named(table: str, row: Row) -> dict[str, Any]:
    """Return a row's values by column, without the columns that only tie it to its trace."""
    fields = dict(zip([name for name, _ in TABLES[table]], row, strict=True))
    del fields["n"]
    if table != "traces":
        del fields["tenant_id"]
    return fields


def _take_usage(fields: dict[str, Any]) -> Usage | None:
    values = {name: fields.pop(name) for name, _ in _USAGE}
    return None if values["input_uncached"] is None else Usage(**values)


def _span_of(fields: dict[str, Any]) -> SpanRecord:
    fields["attributes"] = msgspec.json.decode(fields["attributes"])
    return SpanRecord(**fields)


def _attempt_of(fields: dict[str, Any]) -> AttemptRecord:
    return AttemptRecord(usage=_take_usage(fields), **fields)

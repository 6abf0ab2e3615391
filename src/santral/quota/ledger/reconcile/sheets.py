"""Exports as CSV: those of the providers' consoles, and a plain one of date, model, tokens and cost."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from santral.errors import BadRequest, nearest
from santral.quota.ledger.reconcile.report import (
    Line,
    Report,
    amount,
    dollars,
    moment,
    tokens,
    unknown,
)

Row = Mapping[str, str]


class Sheet(Struct, frozen=True, kw_only=True):
    """One shape of a CSV file. It is known by the columns in ``needs``."""

    shape: str
    needs: tuple[str, ...]
    day: str
    model: str
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cost: str = ""
    currency: str = ""
    unused: str = ""  # columns that are known and say nothing of how much was used


#: Looked at in this order. Source: exports of the consoles as of 2026, whose columns are nowhere
#: specified; what is not known among them is named to the user.
SHEETS = (
    Sheet(
        shape="Anthropic usage, CSV",
        needs=("usage_date_utc", "usage_output_tokens"),
        day="usage_date_utc",
        model="model_version",
        input=(
            "usage_input_tokens_no_cache",
            "usage_input_tokens_cache_write_5m",
            "usage_input_tokens_cache_write_1h",
            "usage_input_tokens_cache_read",
        ),
        output=("usage_output_tokens",),
        unused="api_key workspace usage_type context_window web_search_count inference_geo speed "
        "api_key_id api_key_status",
    ),
    Sheet(
        shape="Anthropic cost, CSV",
        needs=("usage_date_utc", "cost_usd"),
        day="usage_date_utc",
        model="model",
        cost="cost_usd",
        unused="workspace api_key usage_type context_window token_type list_price_usd cost_type "
        "inference_geo speed api_key_id api_key_status",
    ),
    Sheet(
        shape="OpenAI costs, CSV",
        needs=("start_time", "amount_value"),
        day="start_time",
        model="line_item",
        cost="amount_value",
        currency="amount_currency",
        unused="end_time start_time_iso end_time_iso project_id project_name organization_id "
        "organization_name user_id user_email api_key_id api_key_name quantity quantity_unit",
    ),
    Sheet(
        shape="OpenAI usage, CSV",
        needs=("start_time", "input_tokens"),
        day="start_time",
        model="model",
        input=("input_tokens", "input_audio_tokens"),
        output=("output_tokens", "output_audio_tokens"),
        unused="end_time start_time_iso end_time_iso project_id project_name user_id user_name "
        "user_email api_key_id api_key_name api_key_redacted batch service_tier num_model_requests "
        "input_cached_tokens input_cache_write_tokens input_uncached_tokens input_text_tokens "
        "output_text_tokens input_cached_text_tokens input_cached_audio_tokens input_image_tokens "
        "input_cached_image_tokens output_image_tokens usage_type",
    ),
    Sheet(
        shape="plain CSV",
        needs=("date", "model"),
        day="date",
        model="model",
        input=("input",),
        output=("output",),
        cost="cost",
        currency="currency",
    ),
)


def read_sheet(text: str, place: str) -> Report:
    """Read a CSV file with a header.

    Raises:
        BadRequest: no shape that is known, or a cell that is not what its column says; names line
            and column.
    """
    reader = csv.DictReader(text.lstrip("\ufeff").splitlines())
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    sheet = _sheet(header, place)
    rows = [(reader.line_num, row) for row in reader]
    known = frozenset(
        (
            sheet.day,
            sheet.model,
            sheet.cost,
            sheet.currency,
            *sheet.input,
            *sheet.output,
            *sheet.unused.split(),
        )
    )
    lines = [_line(sheet, header, row, f"{place}: line {number}") for number, row in rows]
    days = sorted({line.day for line in lines})
    return Report(
        shape=sheet.shape,
        lines=lines,
        days=(days[0], days[-1]) if days else None,
        unread=unknown([dict.fromkeys(header)], known),
    )


def _sheet(header: Sequence[str], place: str) -> Sheet:
    for sheet in SHEETS:
        if set(sheet.needs) <= set(header):
            return sheet
    hint = nearest(header[0], ["date"]) if header else ""
    raise BadRequest(
        f"{place}: its columns are {', '.join(header) or 'none'}, which is no export that is known."
        f"{hint} A plain one has the columns date, model, input, output, cost."
    )


def _line(sheet: Sheet, header: Sequence[str], row: Row, place: str) -> Line:
    if None in row or None in row.values():
        raise BadRequest(f"{place}: it has not as many cells as the header, {len(header)}.")
    if sheet.currency in header:
        dollars(row[sheet.currency], f"{place}: {sheet.currency}")
    model = row.get(sheet.model, "").split(",")[0].strip()
    return Line(
        day=moment(row[sheet.day], f"{place}: {sheet.day}").date(),
        model=model.lower().replace(" ", "-") if " " in model else model,
        input_tokens=_sum(sheet.input, header, row, place),
        output_tokens=_sum(sheet.output, header, row, place),
        cost_usd=_cost(sheet, header, row, place),
    )


def _sum(columns: Sequence[str], header: Sequence[str], row: Row, place: str) -> int | None:
    """Return what the columns count; text and audio are told apart only where the parts are not."""
    there = [name for name in columns if name in header]
    parts = [name for name in there if not name.endswith("_audio_tokens") or not _has_parts(header)]
    if not there:
        return None
    return sum(tokens(row[name], f"{place}: {name}") for name in parts)


def _has_parts(header: Sequence[str]) -> bool:
    return "input_text_tokens" in header


def _cost(sheet: Sheet, header: Sequence[str], row: Row, place: str) -> Decimal | None:
    return amount(row[sheet.cost], f"{place}: {sheet.cost}") if sheet.cost in header else None

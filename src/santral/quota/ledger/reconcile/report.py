"""What a provider's export says, whatever its shape: lines by UTC day and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from santral.errors import BadRequest


class Line(Struct, frozen=True, kw_only=True):
    """What was used on one UTC day. None: the export does not say."""

    day: date
    model: str  # empty: not by model
    input_tokens: int | None = None  # cached ones too
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


class Report(Struct, frozen=True, kw_only=True):
    """An export as it was read."""

    shape: str  # what it was taken for
    lines: list[Line]
    days: tuple[date, date] | None  # the first and the last it covers, days without use too
    unread: list[str] = []  # columns and fields that nobody here knows
    has_more: bool = False  # it is a page, and further ones follow


def moment(value: object, place: str) -> datetime:
    """Return a time, given as seconds since 1970 or as RFC 3339, in UTC.

    Raises:
        BadRequest: it is neither, or names no zone and is no plain day.
    """
    text = str(value).strip()
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise BadRequest(
            f"{place}: '{text[:40]}' is no time. Write seconds since 1970, 2026-11-22, or "
            "2026-11-22T10:00:00Z."
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def tokens(value: object, place: str) -> int:
    """Return a count; what is empty is none.

    Raises:
        BadRequest: it is no whole number.
    """
    number = amount(value, place)
    if number != number.to_integral_value() or number < 0:
        raise BadRequest(f"{place}: '{value}' is no count of tokens.")
    return int(number)


def amount(value: object, place: str) -> Decimal:
    """Return a decimal number; thousands may be set off by commas, what is empty is zero.

    Raises:
        BadRequest: it is none.
    """
    text = str("" if value is None else value).strip().removeprefix("$").replace(",", "")
    try:
        number = Decimal(text or "0")
    except InvalidOperation:
        raise BadRequest(f"{place}: '{str(value)[:40]}' is no number.") from None
    if not number.is_finite():
        raise BadRequest(f"{place}: '{str(value)[:40]}' is no number.")
    return number


def dollars(currency: object, place: str) -> None:
    """Return when ``currency`` is the dollar.

    Raises:
        BadRequest: it is another one: the ledger is kept in US dollars.
    """
    if str(currency or "usd").strip().lower() != "usd":
        raise BadRequest(f"{place}: the currency is '{currency}', and the ledger is kept in USD.")


def unknown(rows: Iterable[Mapping[str, Any]], known: frozenset[str]) -> list[str]:
    """Return the names in ``rows`` that are not ``known``."""
    return sorted({name for row in rows for name in row if name not in known})

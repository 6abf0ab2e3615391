"""What a call cost: a versioned price file in, integer nano-dollars out, unknown never zero."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import ConfigError
from santral.wire.usage import Usage

SHIPPED = Path(__file__).with_name("prices.toml")

#: Pico-dollars per token, the unit prices are kept in: one dollar per million tokens is 1,000,000.
PICO_PER_USD_PER_MILLION = 1_000_000
_PICO_PER_NANO = 1_000


class Price(Struct, frozen=True, kw_only=True):
    """One model's prices from a day on, in integer pico-dollars per token."""

    kind: str
    model: str
    starts_at_us: int  # microseconds since the Unix epoch, midnight UTC
    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int

    def nanousd(self, usage: Usage) -> int:
        """Return the cost of ``usage``; each class is rounded once, half up, then they are summed."""
        return (
            _nano(usage.input_uncached * self.input)
            + _nano(usage.cache_read * self.cache_read)
            + _nano(usage.cache_write * self.cache_write)
            + _nano(usage.output_text * self.output)
            + _nano(usage.reasoning * self.reasoning)
        )


class Cost(Struct, frozen=True):
    """What a call cost by which price file; ``nanousd`` is None where the price is unknown."""

    nanousd: int | None
    price_version: str


class PriceBook:
    """Prices by provider kind and model, each from its effective date on."""

    def __init__(self, version: str, prices: Iterable[Price]) -> None:
        self.version = version
        self._rows: dict[tuple[str, str], list[Price]] = {}
        for price in sorted(prices, key=lambda row: row.starts_at_us, reverse=True):
            self._rows.setdefault((price.kind, price.model), []).append(price)

    @classmethod
    def load(cls, path: Path | None = None) -> PriceBook:
        """Read a price file, the shipped one by default.

        Raises:
            ConfigError: the file cannot be read or a row is wrong; names file, line and row.
        """
        return _read(path or SHIPPED)

    def cost(self, provider_kind: str, model: str, usage: Usage, at_us: int) -> Cost:
        """Return what ``usage`` cost at ``at_us``, microseconds since the Unix epoch.

        ``model`` is the model's name, or a row written out as ``kind/model``.
        """
        price = self.price(provider_kind, model, at_us)
        return Cost(None if price is None else price.nanousd(usage), self.version)

    def price(self, provider_kind: str, model: str, at_us: int) -> Price | None:
        """Return the row in force: the model's, its undated name's, the one written out, its kind's ``*``."""
        named_kind, _, named_model = model.partition("/")
        rows = (
            self._rows.get((provider_kind, model))
            or self._rows.get((provider_kind, _DATED.sub("", model)))
            or self._rows.get((named_kind, named_model))
            or self._rows.get((provider_kind, "*"))
            or ()
        )
        return next((row for row in rows if row.starts_at_us <= at_us), None)

    def prices(self) -> list[Price]:
        """Return every row, by kind and model, newest first."""
        return [row for name in sorted(self._rows) for row in self._rows[name]]


_DATED = re.compile(r"-20\d\d-\d\d-\d\d$")


def _nano(pico: int) -> int:
    return (pico + _PICO_PER_NANO // 2) // _PICO_PER_NANO


class _Row(Struct, forbid_unknown_fields=True, kw_only=True):
    kind: str
    model: str
    starts: date = msgspec.field(name="from")
    input: str
    output: str
    cache_read: str | None = None
    cache_write: str | None = None
    reasoning: str | None = None


class _File(Struct, forbid_unknown_fields=True, kw_only=True):
    version: str
    currency: str
    price: list[dict[str, Any]]


def _read(path: Path) -> PriceBook:
    try:
        text = path.read_text(encoding="utf-8")
        content = msgspec.convert(tomllib.loads(text), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: the price file cannot be used: {error}.") from None
    if content.currency != "USD":
        raise ConfigError(f"{path}: currency is '{content.currency}', but only USD is kept.")
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith("[[price]]")]
    seen: set[tuple[str, str, int]] = set()
    prices: list[Price] = []
    for number, row in enumerate(content.price):
        line = lines[number] if number < len(lines) else 0
        place = f"{path}:{line}: row {number + 1}"
        price = _price(row, place)
        key = (price.kind, price.model, price.starts_at_us)
        if key in seen:
            raise ConfigError(f"{place}: {price.kind}/{price.model} has two rows from one day.")
        seen.add(key)
        prices.append(price)
    return PriceBook(content.version, prices)


def _price(values: dict[str, Any], place: str) -> Price:
    try:
        row = msgspec.convert(values, _Row)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}. Amounts are decimal strings.") from None
    place = f"{place} ({row.kind}/{row.model})"
    return Price(
        kind=row.kind,
        model=row.model,
        starts_at_us=int(datetime.combine(row.starts, time(), UTC).timestamp()) * 1_000_000,
        input=_pico(row.input, f"{place} input"),
        cache_read=_pico(row.cache_read or row.input, f"{place} cache_read"),
        cache_write=_pico(row.cache_write or row.input, f"{place} cache_write"),
        output=_pico(row.output, f"{place} output"),
        reasoning=_pico(row.reasoning or row.output, f"{place} reasoning"),
    )


def _pico(amount: str, place: str) -> int:
    try:
        exact = Decimal(amount) * PICO_PER_USD_PER_MILLION
    except InvalidOperation:
        raise ConfigError(f"{place}: '{amount}' is not a decimal number.") from None
    if not exact.is_finite() or exact < 0:
        raise ConfigError(f"{place}: '{amount}' is not an amount.")
    if exact != exact.to_integral_value():
        raise ConfigError(f"{place}: '{amount}' has more than six decimals.")
    return int(exact)

"""What a call cost: versioned rows in, integer nano-dollars out, unknown never zero."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from santral.errors import ConfigError
from santral.wire.usage import CLASSES, Usage

#: Pico-dollars per token, the unit prices are kept in: one dollar per million tokens is 1,000,000.
PICO_PER_USD_PER_MILLION = 1_000_000
_PICO_PER_NANO = 1_000
_DAY_US = 86_400_000_000
_MINUTE_US = 60_000_000

#: What a class costs that a vendor gives no price of its own: the same as this one.
_AS: Mapping[str, str] = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "input_image": "input",
    "reasoning": "output",
    "output_audio": "output",
    "output_image": "output",
}
#: Names of rates in price files, in the order of ``Rates``.
AMOUNTS = ("input", "output", *_AS)
#: Billing class -> rate.
_RATE_OF = tuple(
    (name, {"input_uncached": "input", "output_text": "output"}.get(name, name)) for name in CLASSES
)


class Rates(Struct, frozen=True, kw_only=True):
    """Integer pico-dollars per token of every billing class."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    input_audio: int
    input_image: int
    reasoning: int
    output_audio: int
    output_image: int

    @classmethod
    def of(cls, given: Mapping[str, int]) -> Rates:
        """Return rates where classes without one of their own cost what they are a kind of."""
        rates = dict(given)
        for name, other in _AS.items():
            rates.setdefault(name, rates[other])
        return cls(**{name: rates[name] for name in AMOUNTS})

    def nanousd(self, usage: Usage) -> int:
        """Return the cost of ``usage``; each class is rounded once, half up, then they are summed."""
        total = 0
        for name, rate in _RATE_OF:
            count = getattr(usage, name)
            if count:
                total += _nano(count * getattr(self, rate))
        return total


class Tariff(Struct, frozen=True, kw_only=True):
    """Rates by the length of the input: from ``above`` tokens on, all tokens cost that much.

    Source: Anthropic's, Google's and OpenAI's price pages; crossing the line prices every token.
    """

    rates: Rates
    above: tuple[tuple[int, Rates], ...] = ()  # ascending

    def at(self, input_tokens: int) -> Rates:
        """Return the rates of a call with so much input."""
        found = self.rates
        for tokens, rates in self.above:
            if input_tokens > tokens:
                found = rates
        return found


class Price(Struct, frozen=True, kw_only=True):
    """One model's prices from a day on, and what it costs processed in another way.

    ``variants`` are a vendor's other ways at other prices: batch, flex, priority, fast. ``minutes``
    is the part of the UTC day for which the row stands, from the first minute up to the second.
    """

    kind: str
    model: str
    starts_at_us: int  # microseconds since the Unix epoch, midnight UTC
    tariff: Tariff
    variants: Mapping[str, Tariff] = field(default_factory=dict[str, Tariff])
    minutes: tuple[int, int] | None = None

    @property
    def rates(self) -> Rates:
        """The rates of a short, ordinary call."""
        return self.tariff.rates

    def nanousd(self, usage: Usage, variant: str = "") -> int | None:
        """Return the cost of ``usage``; None where the variant has no price."""
        tariff = self.variants.get(variant) if variant else self.tariff
        return None if tariff is None else tariff.at(usage.input_tokens).nanousd(usage)

    def is_in_force(self, at_us: int) -> bool:
        """Whether the row stands at a moment."""
        if at_us < self.starts_at_us or self.minutes is None:
            return at_us >= self.starts_at_us
        first, last = self.minutes
        minute = at_us % _DAY_US // _MINUTE_US
        return first <= minute < last if first <= last else minute >= first or minute < last


class Cost(Struct, frozen=True):
    """What a call cost by which price file; ``nanousd`` is None where the price is unknown."""

    nanousd: int | None
    price_version: str


#: Rows by provider kind and model, newest first.
Rows: TypeAlias = Mapping[tuple[str, str], Sequence[Price]]


def newest_first(prices: Iterable[Price]) -> list[Price]:
    """Return rows in the order in which they are looked at: the first that is in force is taken."""
    ordered = sorted(prices, key=lambda row: (row.starts_at_us, row.minutes is not None))
    return ordered[::-1]


def rows_by_name(prices: Iterable[Price]) -> Rows:
    """Return rows, given in any order, by what they are looked for."""
    rows: dict[tuple[str, str], list[Price]] = {}
    for price in newest_first(prices):
        rows.setdefault((price.kind, price.model), []).append(price)
    return rows


class PriceBook:
    """Prices by provider kind and model, each from its effective date on."""

    def __init__(self, version: str, *books: Rows) -> None:
        """``books`` are looked into in this order; see ``rows_by_name``."""
        self.version = version
        self._books = books
        #: Rows by the names that were asked for: those of the configuration, so there are few.
        self._found: dict[tuple[str, str], Sequence[Price]] = {}

    @classmethod
    def load(cls, path: Path) -> PriceBook:
        """Read a price file.

        Raises:
            ConfigError: the file cannot be read or a row is wrong; names file, line and row.
        """
        return _read(path)

    def over(self, other: PriceBook) -> PriceBook:
        """Return a book in which these rows win over ``other``'s, model by model."""
        return PriceBook(f"{self.version}+{other.version}", *self._books, *other._books)

    def cost(
        self, provider_kind: str, model: str, usage: Usage, at_us: int, variant: str = ""
    ) -> Cost:
        """Return what ``usage`` cost at ``at_us``, microseconds since the Unix epoch.

        ``model`` is the model's name, or a row written out as ``kind/model``; ``variant`` the way it
        was processed, see ``Price``. A way without a price of its own is unknown.
        """
        price = self.price(provider_kind, model, at_us)
        amount = None if price is None else price.nanousd(usage, _STANDARD.get(variant, variant))
        return Cost(amount, self.version)

    def price(self, provider_kind: str, model: str, at_us: int) -> Price | None:
        """Return the row in force: the model's, its undated name's, the one written out, its kind's ``*``."""
        rows = self._found.get((provider_kind, model))
        if rows is None:
            rows = self._found[provider_kind, model] = self._find(provider_kind, model)
        return next((row for row in rows if row.is_in_force(at_us)), None)

    def _find(self, provider_kind: str, model: str) -> Sequence[Price]:
        named_kind, _, named_model = model.partition("/")
        keys = [
            *((provider_kind, name) for name in names_of(model)),
            *((named_kind, name) for name in names_of(named_model)),
            (provider_kind, "*"),
        ]
        return next((rows for rows in map(self._rows_of, keys) if rows), ())

    def _rows_of(self, key: tuple[str, str]) -> Sequence[Price]:
        return next((book[key] for book in self._books if key in book), ())

    def prices(self) -> list[Price]:
        """Return every row, by kind and model, newest first."""
        names = {name for book in self._books for name in book}
        return [row for name in sorted(names) for row in self._rows_of(name)]


#: Service tiers that cost what the price page says first. Source: OpenAI's and Anthropic's APIs.
_STANDARD = {"default": "", "standard": "", "auto": "", "on_demand": ""}

#: Marks at the end of a name that are no other model: an API version, the day of a snapshot.
_VERSION = re.compile(r"(?:-v\d+(?::\d+)?|:\d+)$")
_SNAPSHOT = re.compile(r"(?:-20\d\d-\d\d-\d\d|[-@]20\d{6}|-latest)$")
#: Bedrock's regional profiles, which cost what the model costs in a region; ``global`` costs less,
#: and is a name of its own. Source: https://aws.amazon.com/bedrock/pricing/
_REGION = re.compile(r"^(?:us|eu|apac|au|jp|ca|in|us-gov)\.(?=[a-z0-9]+\.)")


@lru_cache(maxsize=4096)
def names_of(model: str) -> tuple[str, ...]:
    """Return the names under which a model may be known, the most exact first."""
    names = [model]
    for mark in (_VERSION, _SNAPSHOT, _REGION):
        names.append(mark.sub("", names[-1]))
    return tuple(dict.fromkeys(names))


def _nano(pico: int) -> int:
    return (pico + _PICO_PER_NANO // 2) // _PICO_PER_NANO


class _Amounts(Struct, forbid_unknown_fields=True, kw_only=True):
    input: str
    output: str
    cache_read: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    input_audio: str | None = None
    input_image: str | None = None
    reasoning: str | None = None
    output_audio: str | None = None
    output_image: str | None = None


class _Above(_Amounts):
    tokens: int


class _Row(_Amounts):
    kind: str
    model: str
    starts: date = msgspec.field(name="from")
    above: list[_Above] = []
    variants: dict[str, _Amounts] = {}


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
    return PriceBook(content.version, rows_by_name(prices))


def _price(values: dict[str, Any], place: str) -> Price:
    try:
        row = msgspec.convert(values, _Row)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}. Amounts are decimal strings.") from None
    place = f"{place} ({row.kind}/{row.model})"
    above = sorted(row.above, key=lambda step: step.tokens)
    return Price(
        kind=row.kind,
        model=row.model,
        starts_at_us=midnight_us(row.starts),
        tariff=Tariff(
            rates=_rates(row, place),
            above=tuple((step.tokens, _rates(step, f"{place} above")) for step in above),
        ),
        variants={
            name: Tariff(rates=_rates(amounts, f"{place} {name}"))
            for name, amounts in row.variants.items()
        },
    )


def midnight_us(day: date) -> int:
    """Return the moment at which a UTC day begins, in microseconds since the Unix epoch."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000


def _rates(amounts: _Amounts, place: str) -> Rates:
    given = {name: getattr(amounts, name) for name in AMOUNTS}
    return Rates.of(
        {
            name: pico(amount, f"{place} {name}")
            for name, amount in given.items()
            if amount is not None
        }
    )


def pico(amount: str, place: str) -> int:
    """Return dollars per million tokens as pico-dollars per token.

    Raises:
        ConfigError: no decimal number, negative, or with more than six decimals.
    """
    try:
        exact = Decimal(amount) * PICO_PER_USD_PER_MILLION
    except InvalidOperation:
        raise ConfigError(f"{place}: '{amount}' is not a decimal number.") from None
    if not exact.is_finite() or exact < 0:
        raise ConfigError(f"{place}: '{amount}' is not an amount.")
    if exact != exact.to_integral_value():
        raise ConfigError(f"{place}: '{amount}' has more than six decimals.")
    return int(exact)

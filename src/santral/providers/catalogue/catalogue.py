"""The models we know: what they can, how much they take, and what they cost.

``catalogue.jsonl`` ships with the package and is built by ``scripts/build_catalogue.py``: a header
that names version, sources and checksum, then one model a line, so that a change can be reviewed.
Nothing is fetched, at import or later: a newer file comes by ``santral prices update``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from santral.config.upstreams import Capability
from santral.errors import ConfigError
from santral.providers.catalogue.facts import ModelFacts
from santral.providers.catalogue.prices import (
    Price,
    PriceBook,
    Rates,
    Tariff,
    names_of,
    newest_first,
)

SHIPPED = Path(__file__).with_name("catalogue.jsonl")

#: Amounts by name, in pico-dollars per token; see ``prices.AMOUNTS``.
Amounts: TypeAlias = dict[str, int]


class TariffEntry(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A tariff as it is kept; ``above`` holds pairs of input tokens and amounts."""

    amounts: Amounts
    above: list[tuple[int, Amounts]] = []

    def tariff(self) -> Tariff:
        """Return the tariff; steps take what they do not name from the base."""
        return Tariff(
            rates=Rates.of(self.amounts),
            above=tuple((tokens, Rates.of(self.amounts | more)) for tokens, more in self.above),
        )


class PriceEntry(TariffEntry, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A price of a model from a day on, or for some minutes of every day."""

    starts_at_us: int = 0
    minutes: tuple[int, int] | None = None
    variants: dict[str, TariffEntry] = {}


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One model of one provider kind. What is not named is unknown, never no."""

    kind: str
    model: str
    aliases: list[str] = []
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    can: dict[Capability, bool] = {}
    prices: list[PriceEntry] = []
    ends: dict[str, date] = {}  # the day on which its provider ends it, by each of its names


_models = msgspec.json.Decoder(Entry)


class Header(Struct, frozen=True, kw_only=True):
    """The first line of a catalogue. ``sha256`` is of every byte after it."""

    version: str
    sources: list[str]
    licence: str
    models: int
    sha256: str


class Catalogue:
    """Models by provider kind and name."""

    def __init__(self, header: Header, models: list[Entry]) -> None:
        self.header = header
        self.models = models
        self._by_name: dict[tuple[str, str], Entry] = {}
        for entry in models:
            for name in entry.aliases:
                self._by_name.setdefault((entry.kind, name), entry)
        for entry in models:
            self._by_name[entry.kind, entry.model] = entry  # its own name wins over an alias

    def find(self, kind: str, model: str) -> Entry | None:
        """Return a model by its name, or by the name without its snapshot's date."""
        found = (self._by_name.get((kind, name)) for name in names_of(model))
        return next((entry for entry in found if entry is not None), None)

    def ends_on(self, kind: str, model: str) -> date | None:
        """Return the day on which a model ends; a snapshot's end says nothing of what follows it."""
        entry = self.find(kind, model)
        return None if entry is None else entry.ends.get(model)

    def facts(self, kind: str, model: str) -> ModelFacts | None:
        """Return what routing needs to know of a model."""
        entry = self.find(kind, model)
        if entry is None:
            return None
        return ModelFacts(
            capabilities=entry.can,
            context_tokens=entry.context_tokens,
            max_output_tokens=entry.max_output_tokens,
        )

    @cached_property
    def prices(self) -> PriceBook:
        """The prices of all models."""
        return PriceBook(self.header.version, _Rows(self._by_name))


class _Rows(Mapping[tuple[str, str], Sequence[Price]]):
    """Rows of a catalogue, made for the models that are asked for.

    Measured: 22 ms of a worker's start and 1.2 MB for those of all 2,700 models.
    """

    def __init__(self, entries: Mapping[tuple[str, str], Entry]) -> None:
        self._entries = entries

    def __getitem__(self, key: tuple[str, str]) -> Sequence[Price]:
        entry = self._entries[key]
        if not entry.prices:
            raise KeyError(key)
        return newest_first(_price(entry, key[1], price) for price in entry.prices)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return (key for key, entry in self._entries.items() if entry.prices)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def load_catalogue(path: Path = SHIPPED) -> Catalogue:
    """Read a catalogue whole, or not at all.

    Raises:
        ConfigError: missing, cut, changed by hand, or not a catalogue; names file and line.
    """
    try:
        head, _, rest = path.read_bytes().partition(b"\n")
        header = msgspec.json.decode(head, type=Header)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: the catalogue of models cannot be read: {error}.") from None
    if hashlib.sha256(rest).hexdigest() != header.sha256:
        raise ConfigError(
            f"{path}: the catalogue is cut or was changed: its checksum is not the one it states. "
            "Own prices belong into a price file (prices.file)."
        )
    try:
        models = _models.decode_lines(rest)
    except msgspec.DecodeError:
        models = _line_by_line(path, rest)
    return Catalogue(header, models)


def _line_by_line(path: Path, rest: bytes) -> list[Entry]:
    """Read the models again, to name the line that is none."""
    models: list[Entry] = []
    for number, line in enumerate(rest.splitlines(), 2):
        try:
            models.append(_models.decode(line))
        except msgspec.DecodeError as error:
            raise ConfigError(f"{path}:{number}: not a model: {error}.") from None
    return models


def encode_catalogue(version: str, sources: list[str], licence: str, models: list[Entry]) -> bytes:
    """Return the bytes of a catalogue file, its models in order."""
    ordered = sorted(models, key=lambda entry: (entry.kind, entry.model))
    body = b"".join(msgspec.json.encode(entry, order="deterministic") + b"\n" for entry in ordered)
    header = Header(
        version=version,
        sources=sources,
        licence=licence,
        models=len(ordered),
        sha256=hashlib.sha256(body).hexdigest(),
    )
    return msgspec.json.encode(header) + b"\n" + body


class Move(Struct, frozen=True):
    """A rate that a newer catalogue changes."""

    model: str
    rate: str
    before: int
    after: int

    @property
    def is_wild(self) -> bool:
        """Whether it moved by more than ten times: more often a slip than a price."""
        if not self.before or not self.after:
            return self.before != self.after
        return not 0.1 <= self.after / self.before <= 10


class Changes(Struct, frozen=True, kw_only=True):
    """What a newer catalogue would change."""

    added: list[str]
    dropped: list[str]
    moved: list[Move]

    @property
    def reasons_to_refuse(self) -> list[str]:
        """Why it should not replace the one in force, one sentence each."""
        wild = [
            f"{move.model}: {move.rate} goes from {usd(move.before)} to {usd(move.after)}."
            for move in self.moved
            if move.is_wild
        ]
        return [f"{name} is dropped." for name in self.dropped] + wild


def usd(pico: int) -> str:
    """Return pico-dollars per token as dollars per million tokens."""
    return f"{pico / 1e6:.6f}".rstrip("0").rstrip(".")


def compare(old: Catalogue, new: Catalogue) -> Changes:
    """Return what ``new`` would change: models, and the rates in force last."""
    before, after = _latest(old), _latest(new)
    return Changes(
        added=sorted(after.keys() - before.keys()),
        dropped=sorted(before.keys() - after.keys()),
        moved=[
            Move(name, rate, before[name][rate], after[name].get(rate, 0))
            for name in sorted(before.keys() & after.keys())
            for rate in before[name]
            if before[name][rate] != after[name].get(rate, 0)
        ],
    )


def _latest(catalogue: Catalogue) -> Mapping[str, Amounts]:
    return {
        f"{entry.kind}/{entry.model}": (
            max(entry.prices, key=lambda price: price.starts_at_us).amounts if entry.prices else {}
        )
        for entry in catalogue.models
    }


def _price(entry: Entry, name: str, price: PriceEntry) -> Price:
    return Price(
        kind=entry.kind,
        model=name,
        starts_at_us=price.starts_at_us,
        tariff=price.tariff(),
        variants={variant: tariff.tariff() for variant, tariff in price.variants.items()},
        minutes=price.minutes,
    )


def refreshed(folder: Path) -> Path:
    """Return where ``santral prices update`` puts a newer catalogue, in the data folder."""
    return folder / "catalogue.jsonl"


def catalogue_in(folder: Path) -> Catalogue:
    """Return the catalogue in force: the refreshed one of a data folder, or the shipped one.

    Raises:
        ConfigError: as ``load_catalogue``.
    """
    own = refreshed(folder)
    path = own if own.exists() else SHIPPED
    return _loaded(path, path.stat().st_mtime_ns)


def combined_prices(catalogue: Catalogue, own: Path | None) -> PriceBook:
    """Return the rows of a price file over those of a catalogue.

    Raises:
        ConfigError: the price file cannot be used.
    """
    return PriceBook.load(own).over(catalogue.prices) if own else catalogue.prices


@lru_cache(maxsize=2)
def _loaded(path: Path, modified_ns: int) -> Catalogue:
    return load_catalogue(path)

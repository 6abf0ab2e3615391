"""Prices that were in force once: kept by their version, so that every row of the ledger can be proved."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

from santral.errors import BadRequest, ConfigError, StoreError, nearest
from santral.providers.catalogue.catalogue import SHIPPED, load_catalogue, refreshed
from santral.providers.catalogue.prices import PriceBook

log = logging.getLogger(__name__)

_FOLDER = "prices"
_OWN, _CATALOGUE = ".toml", ".jsonl"


def keep_prices(data: Path, own: Path | None) -> None:
    """Keep a copy of the catalogue and the price file in force; what is kept already stays.

    A disk that takes nothing more is logged: it must not keep a gateway from serving.
    """
    newer = refreshed(data)
    try:
        _keep(data / _FOLDER, newer if newer.exists() else SHIPPED, _CATALOGUE)
        if own is not None:
            _keep(data / _FOLDER, own, _OWN)
    except OSError as error:
        log.warning("prices_not_kept", extra={"reason": str(error)})


def keep_price_file(data: Path, given: Path) -> None:
    """Keep a copy of prices that were replayed with: what they corrected can be proved afterwards.

    Raises:
        StoreError: it cannot be kept.
    """
    try:
        _keep(data / _FOLDER, given, _CATALOGUE if given.suffix == _CATALOGUE else _OWN)
    except OSError as error:
        raise StoreError(
            f"{data / _FOLDER}: the prices cannot be kept there: {error.strerror or error}. Without "
            "them nobody could prove what they correct."
        ) from None


class PriceArchive:
    """Every version of the prices that was in force with a data folder, and those given besides."""

    def __init__(self, data: Path, given: Path | None = None) -> None:
        """``given`` is a price file, or a catalogue ending in ``.jsonl``.

        Raises:
            ConfigError: it cannot be used.
        """
        self._folder = data / _FOLDER
        self._newer = refreshed(data)
        self._given = None if given is None else _load(given)
        self._books: dict[str, list[PriceBook]] | None = None

    def versions(self) -> list[str]:
        """Return every version there are prices of, those of a price file over a catalogue too."""
        return sorted(self._all())

    def books(self, version: str) -> list[PriceBook]:
        """Return the prices that bear ``version``: several where a file was changed under its name."""
        return self._all().get(version, [])

    def book(self, version: str) -> PriceBook:
        """Return the prices of one version.

        Raises:
            BadRequest: none, or several different ones, bear it.
        """
        found = self.books(version)
        if len(found) == 1:
            return found[0]
        known = self.versions()
        if found:
            raise BadRequest(
                f"{len(found)} different price files call themselves '{version}'. Give the right one "
                "with --price-file.",
                param="price_version",
            )
        raise BadRequest(
            f"There are no prices of version '{version[:80]}'.{nearest(version[:80], known)} Known: "
            f"{', '.join(known)}. Give another file with --price-file.",
            param="price_version",
        )

    def _all(self) -> dict[str, list[PriceBook]]:
        if self._books is None:
            self._books = self._load()
        return self._books

    def _load(self) -> dict[str, list[PriceBook]]:
        catalogues = [*self._folder.glob(f"*{_CATALOGUE}"), SHIPPED]
        if self._newer.exists():
            catalogues.append(self._newer)
        bases = [_load(path) for path in _distinct(catalogues)]
        owns = [_load(path) for path in _distinct(self._folder.glob(f"*{_OWN}"))]
        if self._given is not None:
            bases = [base for base in bases if base.version != self._given.version]
            owns = [own for own in owns if own.version != self._given.version]
            owns.append(self._given)
        books: dict[str, list[PriceBook]] = {}
        for book in (*bases, *owns, *(own.over(base) for own in owns for base in bases)):
            books.setdefault(book.version, []).append(book)
        return books


def _keep(folder: Path, path: Path, suffix: str) -> None:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()[:16]
    kept = folder / f"{re.sub(r'[^a-z0-9-]', '_', path.stem.lower())[:40]}-{digest}{suffix}"
    if kept.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{kept.name}.{os.getpid()}"
    fresh.write_bytes(data)
    fresh.replace(kept)


def _load(path: Path) -> PriceBook:
    if path.suffix == _CATALOGUE:
        return load_catalogue(path).prices
    return PriceBook.load(path)


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Return one path for each different content."""
    found: dict[str, Path] = {}
    for path in paths:
        try:
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
        except OSError as error:
            raise ConfigError(f"{path}: the kept prices cannot be read: {error}.") from None
    return list(found.values())

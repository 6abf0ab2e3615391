"""Prices that were in force once."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.errors import BadRequest
from santral.providers.catalogue.archive import PriceArchive, keep_prices
from santral.providers.catalogue.catalogue import encode_catalogue, load_catalogue, refreshed
from santral.wire.usage import Usage

ONE = Usage(input_uncached=1_000_000)


def price_file(path: Path, version: str, dollars: str) -> Path:
    path.write_text(
        f'version = "{version}"\ncurrency = "USD"\n[[price]]\nkind = "openai"\nmodel = "own"\n'
        f'from = 2026-01-01\ninput = "{dollars}"\noutput = "1"\n'
    )
    return path


def cost(archive: PriceArchive, version: str) -> int | None:
    return archive.book(version).cost("openai", "own", ONE, 2**51).nanousd


def test_what_was_in_force_is_found_by_its_version_after_it_was_replaced(tmp_path: Path) -> None:
    shipped = load_catalogue().prices.version
    for version, dollars in (("may", "1"), ("june", "2")):
        keep_prices(tmp_path, price_file(tmp_path / "own.toml", version, dollars))
    archive = PriceArchive(tmp_path)
    assert cost(archive, f"may+{shipped}") == 10**9
    assert cost(archive, f"june+{shipped}") == 2 * 10**9
    assert cost(archive, "june") == 2 * 10**9
    assert {"may", "june", shipped, f"may+{shipped}"} <= set(archive.versions())


def test_a_catalogue_that_was_replaced_is_kept_and_so_is_the_shipped_one(tmp_path: Path) -> None:
    shipped = load_catalogue()
    refreshed(tmp_path).write_bytes(encode_catalogue("later", ["a"], "MIT", shipped.models[:1]))
    keep_prices(tmp_path, None)
    refreshed(tmp_path).unlink()
    assert set(PriceArchive(tmp_path).versions()) == {"later", shipped.header.version}


def test_keeping_again_changes_nothing(tmp_path: Path) -> None:
    own = price_file(tmp_path / "own.toml", "may", "1")
    keep_prices(tmp_path, own)
    before = sorted((tmp_path / "prices").iterdir())
    keep_prices(tmp_path, own)
    assert sorted((tmp_path / "prices").iterdir()) == before
    assert len(before) == 2


def test_two_files_of_one_version_are_told_apart_and_never_guessed(tmp_path: Path) -> None:
    for dollars in ("1", "2"):
        keep_prices(tmp_path, price_file(tmp_path / "own.toml", "may", dollars))
    assert len(PriceArchive(tmp_path).books("may")) == 2
    with pytest.raises(BadRequest, match="2 different price files call themselves 'may'"):
        PriceArchive(tmp_path).book("may")
    given = price_file(tmp_path / "given.toml", "may", "3")
    assert cost(PriceArchive(tmp_path, given), "may") == 3 * 10**9


def test_an_unknown_version_is_refused_with_the_nearest(tmp_path: Path) -> None:
    keep_prices(tmp_path, price_file(tmp_path / "own.toml", "2026-may", "1"))
    with pytest.raises(BadRequest, match=r"'2026-mai'.*2026-may.*--price-file"):
        PriceArchive(tmp_path).book("2026-mai")


def test_a_folder_that_cannot_be_written_does_not_stop_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "prices").write_text("a file where the folder should be")
    keep_prices(tmp_path, None)

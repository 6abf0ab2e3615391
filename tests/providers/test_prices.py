"""Cost to the nano-dollar, unknown never zero, and a broken file refused with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import ConfigError
from santral.providers.prices import PriceBook
from santral.providers.registry import VENDORS
from santral.wire.usage import Usage

SHIPPED = PriceBook.load()


def at_us(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000


TODAY = at_us("2026-11-22")
COUNTS = st.integers(0, 10_000_000)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_cost_is_exact_to_the_nano_dollar(
    fresh: int, cached: int, text: int, hidden: int
) -> None:
    usage = Usage(input_uncached=fresh, cache_read=cached, output_text=text, reasoning=hidden)
    per_million = {"2.50": fresh, "1.25": cached, "10": text, "10.0": hidden}
    exact = sum(
        (Decimal(price) * count * 1000).quantize(Decimal(1), ROUND_HALF_UP)
        for price, count in per_million.items()
    )
    assert SHIPPED.cost("openai", "gpt-4o", usage, TODAY).nanousd == exact


def test_a_million_tokens_cost_the_list_price() -> None:
    cost = SHIPPED.cost("openai", "gpt-4o-mini", Usage(input_uncached=1_000_000), TODAY)
    assert cost.nanousd == 150_000_000
    assert cost.price_version == SHIPPED.version


def test_half_a_nano_dollar_is_rounded_up() -> None:
    cost = SHIPPED.cost("groq", "openai/gpt-oss-20b", Usage(cache_read=1), TODAY)  # 37.5 nano
    assert cost.nanousd == 38


def test_an_unknown_model_has_no_cost() -> None:
    cost = SHIPPED.cost("openai", "gpt-unheard-of", Usage(input_uncached=5), TODAY)
    assert cost.nanousd is None
    assert cost.price_version


def test_a_price_says_nothing_about_the_time_before_it() -> None:
    assert SHIPPED.cost("openai", "gpt-5", Usage(), at_us("2025-08-06")).nanousd is None
    assert SHIPPED.cost("openai", "gpt-5", Usage(), at_us("2025-08-07")).nanousd == 0


def test_the_embedded_answerer_is_free_by_statement() -> None:
    assert SHIPPED.cost("local", "extractive", Usage(output_text=9), TODAY).nanousd == 0


def test_a_dated_snapshot_costs_what_its_model_costs_unless_it_has_a_row() -> None:
    usage = Usage(input_uncached=1_000_000)
    assert SHIPPED.cost("openai", "gpt-4o-2024-08-06", usage, TODAY).nanousd == 2_500_000_000
    assert SHIPPED.cost("openai", "gpt-4o-2024-05-13", usage, TODAY).nanousd == 5_000_000_000


def test_a_row_can_be_named_in_full() -> None:
    usage = Usage(input_uncached=1_000_000)
    assert SHIPPED.cost("openai-compatible", "openai/gpt-4o", usage, TODAY).nanousd == 2_500_000_000


def test_every_shipped_row_belongs_to_a_provider_we_know() -> None:
    assert {row.kind for row in SHIPPED.prices()} <= set(VENDORS)


def test_a_cheaper_cache_and_a_dearer_output_is_what_vendors_charge() -> None:
    for row in SHIPPED.prices():
        assert row.cache_read <= row.input <= row.output


HEAD = 'version = "1"\ncurrency = "USD"\n'
ROW = '[[price]]\nkind = "openai"\nmodel = "m"\nfrom = 2026-01-01\ninput = "1"\noutput = "2"\n'


def load(tmp_path: Path, text: str) -> PriceBook:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return PriceBook.load(path)


def test_the_newest_row_in_force_counts(tmp_path: Path) -> None:
    newer = ROW.replace("2026-01-01", "2026-06-01").replace('"1"', '"3"')
    book = load(tmp_path, HEAD + newer + ROW)
    usage = Usage(input_uncached=1_000_000)
    assert book.cost("openai", "m", usage, at_us("2026-05-31")).nanousd == 1_000_000_000
    assert book.cost("openai", "m", usage, at_us("2026-06-01")).nanousd == 3_000_000_000


def test_classes_without_a_price_fall_back_on_input_and_output(tmp_path: Path) -> None:
    row = load(tmp_path, HEAD + ROW).prices()[0]
    assert (row.cache_read, row.cache_write, row.reasoning) == (row.input, row.input, row.output)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = ", "cannot be used"),
        ("", "`version`"),
        (HEAD.replace("USD", "EUR") + ROW, "only USD"),
        (HEAD + ROW + "surprise = 1\n", "prices.toml:3: row 1: Object contains unknown field"),
        (HEAD + ROW + ROW.replace('"1"', "1.5"), "prices.toml:9: row 2: Expected `str`"),
        (HEAD + ROW.replace('"1"', '"one"'), "prices.toml:3: row 1 (openai/m) input: 'one'"),
        (HEAD + ROW.replace('"1"', '"-1"'), "is not an amount"),
        (HEAD + ROW.replace('"1"', '"nan"'), "is not an amount"),
        (HEAD + ROW.replace('"1"', '"1e-7"'), "more than six decimals"),
        (HEAD + ROW.replace("from = 2026-01-01\n", ""), "`from`"),
        (HEAD + ROW + ROW, "prices.toml:9: row 2: openai/m has two rows from one day"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in caught.value.message
    assert "prices.toml" in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        PriceBook.load(tmp_path / "nowhere.toml")

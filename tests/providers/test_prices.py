"""Cost to the nano-dollar, unknown never zero, and a broken file refused with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import ConfigError
from santral.providers.catalogue.catalogue import load_catalogue
from santral.providers.catalogue.prices import AMOUNTS, PriceBook, names_of
from santral.providers.registry import VENDORS
from santral.wire.usage import Usage

SHIPPED = load_catalogue().prices


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


def test_a_price_says_nothing_about_the_time_before_it(tmp_path: Path) -> None:
    book = load(tmp_path, HEAD + ROW)
    assert book.cost("openai", "m", Usage(), at_us("2025-12-31")).nanousd is None
    assert book.cost("openai", "m", Usage(), at_us("2026-01-01")).nanousd == 0


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


def test_a_long_input_costs_what_its_length_costs() -> None:
    short = Usage(input_uncached=200_000, output_text=1)
    long = Usage(input_uncached=150_000, cache_read=50_001, output_text=1)
    assert SHIPPED.cost("gemini", "gemini-2.5-pro", short, TODAY).nanousd == 250_010_000
    # 150,000 at 2.50, 50,001 cached at 0.25, one token out at 15: every token at the long price
    assert SHIPPED.cost("gemini", "gemini-2.5-pro", long, TODAY).nanousd == 387_515_250


def test_a_variant_costs_its_own_price_and_an_unknown_one_is_unknown() -> None:
    usage = Usage(input_uncached=1_000_000)
    costs = {
        variant: SHIPPED.cost("openai", "gpt-5.2", usage, TODAY, variant).nanousd
        for variant in ("", "default", "batch", "flex", "priority", "turbo")
    }
    assert costs == {
        "": 1_750_000_000,
        "default": 1_750_000_000,
        "batch": 875_000_000,
        "flex": 875_000_000,
        "priority": 3_500_000_000,
        "turbo": None,
    }


def test_a_region_of_bedrock_costs_more_than_all_of_them() -> None:
    usage = Usage(input_uncached=1_000_000)
    name = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert SHIPPED.cost("bedrock", f"global.{name}", usage, TODAY).nanousd == 3_000_000_000
    assert SHIPPED.cost("bedrock", f"us.{name}", usage, TODAY).nanousd == 3_300_000_000
    assert SHIPPED.cost("bedrock", name, usage, TODAY).nanousd == 3_300_000_000


def test_an_hour_of_cache_costs_more_than_five_minutes() -> None:
    short, long = Usage(cache_write=100_000), Usage(cache_write_1h=100_000)
    model = "claude-sonnet-4-5-20250929"
    assert SHIPPED.cost("anthropic", model, short, TODAY).nanousd == 375_000_000
    assert SHIPPED.cost("anthropic", model, long, TODAY).nanousd == 600_000_000


def test_a_row_for_some_hours_of_the_day_counts_in_those() -> None:
    rows = [row for row in SHIPPED.prices() if row.minutes]
    assert rows, "no shipped row has hours"
    row = rows[0]
    first, _ = row.minutes or (0, 0)
    at = TODAY + first * 60_000_000
    assert row.is_in_force(at)
    assert not row.is_in_force(at - 60_000_000)
    other = SHIPPED.price(row.kind, row.model, at - 60_000_000)
    assert other is not None
    assert other.rates != row.rates


def test_names_lose_only_marks_that_are_no_other_model() -> None:
    assert names_of("gpt-4o-2024-08-06")[-1] == "gpt-4o"
    assert names_of("us.anthropic.claude-x-20250929-v1:0")[-1] == "anthropic.claude-x"
    assert names_of("global.anthropic.claude-x")[-1] == "global.anthropic.claude-x"
    assert names_of("gpt-5.2-mini") == ("gpt-5.2-mini",)


def test_no_shipped_rate_is_negative_and_every_class_has_one() -> None:
    for row in SHIPPED.prices():
        assert all(getattr(row.rates, name) >= 0 for name in AMOUNTS)


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
    row = load(tmp_path, HEAD + ROW).prices()[0].rates
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


def test_own_rows_win_over_the_catalogue_model_by_model(tmp_path: Path) -> None:
    own = load(tmp_path, HEAD + ROW.replace('"m"', '"gpt-4o"'))
    book = own.over(SHIPPED)
    usage = Usage(input_uncached=1_000_000)
    assert book.cost("openai", "gpt-4o", usage, TODAY).nanousd == 1_000_000_000
    assert book.cost("openai", "gpt-4o-mini", usage, TODAY).nanousd == 150_000_000
    assert book.version == f"1+{SHIPPED.version}"


def test_a_file_can_give_lengths_and_variants(tmp_path: Path) -> None:
    row = ROW + (
        'above = [{ tokens = 10, input = "2", output = "4" }]\n'
        'variants.batch = { input = "0.5", output = "1" }\n'
    )
    book = load(tmp_path, HEAD + row)
    short, long = Usage(input_uncached=10), Usage(input_uncached=11)
    assert book.cost("openai", "m", short, TODAY).nanousd == 10_000
    assert book.cost("openai", "m", long, TODAY).nanousd == 22_000
    assert book.cost("openai", "m", long, TODAY, "batch").nanousd == 5_500

"""Price books for tests: dollars per million tokens by model."""

from __future__ import annotations

from santral.providers.catalogue.prices import (
    PICO_PER_USD_PER_MILLION,
    Price,
    PriceBook,
    Rates,
    Tariff,
    rows_by_name,
)


def book(version: str, **dollars: int) -> PriceBook:
    """Return prices of OpenAI's models, input and output alike."""
    return PriceBook(
        version, rows_by_name(_price(model, amount) for model, amount in dollars.items())
    )


def _price(model: str, dollars: int) -> Price:
    amount = dollars * PICO_PER_USD_PER_MILLION
    rates = Rates.of({"input": amount, "output": amount})
    return Price(kind="openai", model=model, starts_at_us=0, tariff=Tariff(rates=rates))

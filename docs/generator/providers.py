"""docs/reference/providers.md from the provider registry and the shipped prices."""

from __future__ import annotations

from generator.markdown import code, page, table
from santral.providers.prices import PriceBook
from santral.providers.registry import VENDORS, Vendor

INTRO = """\
`kind` in `[providers.NAME]` names a row of this table. A row is a dialect, an address, how to sign
in, and quirks. Any other server that speaks OpenAI's chat completions is `openai-compatible` with
its own `base_url`. Another dialect is a file in `src/santral/providers/` and a row."""


def providers_page() -> str:
    """Return the page."""
    rows = [
        (code(v.kind), v.title, _address(v), _KEYS[v.auth], _quirks(v)) for v in VENDORS.values()
    ]
    book = PriceBook.load()
    models = sorted({(price.kind, price.model) for price in book.prices()})
    return page(
        "Providers",
        INTRO,
        table(("Kind", "Provider", "Default address", "Key", "Quirks"), rows),
        "## Models with a shipped price",
        f"Version {code(book.version)} of the price file. `santral prices show` prints the prices. A "
        "model that is not here has an unknown cost, never a cost of zero; give it a price with "
        "`[prices] file`.",
        table(("Kind", "Models"), [(code(kind), _models(models, kind)) for kind in _kinds(models)]),
    )


_KEYS = {"bearer": "required", "optional": "optional", "none": "none", "own": "its own way"}


def _address(vendor: Vendor) -> str:
    return code(vendor.base_url) or (
        "in this process" if vendor.auth == "none" else "set `base_url`"
    )


def _quirks(vendor: Vendor) -> str:
    return "; ".join(vendor.quirks()) or "none"


def _kinds(models: list[tuple[str, str]]) -> list[str]:
    return sorted({kind for kind, _ in models})


def _models(models: list[tuple[str, str]], kind: str) -> str:
    return ", ".join(code(model) for other, model in models if other == kind)

"""docs/reference/providers.md from the provider registry and the shipped prices."""

from __future__ import annotations

from generator.markdown import code, page, table
from santral.providers.catalogue.catalogue import Catalogue, load_catalogue
from santral.providers.registry import VENDORS, Vendor
from santral.providers.tasks.tasked import TASKS, TaskRow

INTRO = """\
`kind` in `[providers.NAME]` names a row of this table. A row is a dialect, an address, how to sign
in, and quirks. Any other server that speaks OpenAI's chat completions is `openai-compatible` with
its own `base_url`. Another dialect is a folder in `src/santral/providers/` and a row."""


def providers_page() -> str:
    """Return the page."""
    rows = [
        (code(v.kind), _title(v), _address(v), _KEYS[v.auth], _quirks(v)) for v in VENDORS.values()
    ]
    catalogue = load_catalogue()
    return page(
        "Providers",
        INTRO,
        table(("Kind", "Provider", "Default address", "Key", "Quirks"), rows),
        "## Beside conversations",
        "What a kind can be asked for at the other endpoints. `local` embeds with `hashing` and reranks "
        "with `bm25`. Completions go to every kind: to those marked here in their own form, to the "
        "others as conversations.",
        table(
            ("Kind", "Embeddings", "Rerank", "Moderations", "Completions"),
            [
                (code(kind), *("yes" if task else "" for task in _tasks(row)))
                for kind, row in TASKS.items()
                if kind in VENDORS
            ],
        ),
        "## Models in the catalogue",
        f"Version {code(catalogue.header.version)}, from {' and '.join(catalogue.header.sources)}. "
        "`santral prices show` prints the prices, `santral prices check` which one each of your "
        "deployments has, and `santral prices update FILE` puts a newer catalogue in force. A model "
        "that has no price has an unknown cost, never a cost of zero; give it one with "
        "`[prices] file`, whose rows count before the catalogue's.",
        table(
            (
                "Kind",
                "Models",
                "with a price",
                "with a known context window",
                "length or time tiers",
            ),
            [_counts(catalogue, kind) for kind in sorted({e.kind for e in catalogue.models})],
        ),
    )


def _tasks(row: TaskRow) -> tuple[bool, ...]:
    asked = (row.embed, row.rerank, row.moderate)
    return (*(endpoint is not None for endpoint in asked), bool(row.completes))


_KEYS = {"bearer": "required", "optional": "optional", "none": "none", "own": "its own way"}


def _address(vendor: Vendor) -> str:
    return code(vendor.base_url) or (
        "in this process" if vendor.auth == "none" else "set `base_url`"
    )


def _title(vendor: Vendor) -> str:
    return f"[{vendor.title}]({vendor.reference})" if vendor.reference else vendor.title


def _quirks(vendor: Vendor) -> str:
    return "; ".join(vendor.quirks()) or "none"


def _counts(catalogue: Catalogue, kind: str) -> tuple[str, ...]:
    entries = [entry for entry in catalogue.models if entry.kind == kind]
    return (
        code(kind),
        f"{len(entries):,}",
        f"{sum(bool(entry.prices) for entry in entries):,}",
        f"{sum(entry.context_tokens is not None for entry in entries):,}",
        f"{sum(any(p.above or p.minutes for p in entry.prices) for entry in entries):,}",
    )

"""Builds src/santral/providers/catalogue/catalogue.jsonl from public sources.

    python -m venv /tmp/catalogue && /tmp/catalogue/bin/pip install genai-prices
    python scripts/build_catalogue.py --genai-prices /tmp/catalogue/lib/.../genai_prices \
        --capabilities model_prices_and_context_window.json

Prices: pydantic/genai-prices (MIT). Capabilities and limits: LiteLLM's
model_prices_and_context_window.json (MIT), in the wheel of ``litellm``, which also says when models end. Where both give a plain price
and they differ by more than 1 %, the model is listed, for a person to look at; genai-prices counts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from santral.providers.catalogue.catalogue import (
    SHIPPED,
    Amounts,
    Catalogue,
    Entry,
    Header,
    PriceEntry,
    TariffEntry,
    compare,
    encode_catalogue,
    load_catalogue,
)
from santral.providers.catalogue.prices import PICO_PER_USD_PER_MILLION, midnight_us, names_of

#: Our kinds -> genai-prices' provider, LiteLLM's providers.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "anthropic": ("anthropic", ("anthropic",)),
    "azure": ("azure", ("azure", "azure_ai")),
    "bedrock": ("aws", ("bedrock", "bedrock_converse")),
    "cohere": ("cohere", ("cohere", "cohere_chat")),
    "deepseek": ("deepseek", ("deepseek",)),
    "fireworks": ("fireworks", ("fireworks_ai",)),
    "gemini": ("google", ("gemini",)),
    "groq": ("groq", ("groq",)),
    "mistral": ("mistral", ("mistral",)),
    "nvidia": ("", ("nvidia_nim",)),
    "openai": ("openai", ("openai",)),
    "openrouter": ("openrouter", ("openrouter",)),
    "perplexity": ("perplexity", ("perplexity",)),
    "together": ("together", ("together_ai",)),
    "vertex": ("google", ("vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai")),
    "voyage": ("voyageai", ("voyage",)),
    "xai": ("x-ai", ("xai",)),
    "jina": ("", ("jina_ai",)),
}

#: genai-prices' units -> our rates.
UNITS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
}

#: Units that a bill has and tokens do not tell: such a model's cost would be too low.
OTHER_UNITS = re.compile(r"requests_kcount|output_citation_mtok|hours|mchars|kpages|messages")

#: LiteLLM's flags -> our capabilities.
FLAGS = {
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_response_schema": "json_schema",
    "supports_vision": "vision",
    "supports_audio_input": "audio_in",
    "supports_pdf_input": "files",
    "supports_reasoning": "reasoning",
    "supports_prompt_caching": "prompt_cache",
}
#: Those whose "no" is meant: the API refuses. The others are often missing knowledge.
CERTAIN = {
    "supports_function_calling",
    "supports_vision",
    "supports_audio_input",
    "supports_pdf_input",
}

SKIP_MODES = {"image_generation", "image_edit", "video_generation", "audio_transcription", "audio_speech"}  # fmt: skip


def pico(value: Decimal) -> int:
    """Dollars per million tokens as pico-dollars per token, rounded to whole ones."""
    return int((value * PICO_PER_USD_PER_MILLION).to_integral_value())


def amounts_of(price: Any) -> tuple[Amounts, list[tuple[int, Amounts]]]:
    """Return base amounts, and those from some input length on."""
    base: Amounts = {}
    above: dict[int, Amounts] = {}
    for unit, rate in UNITS.items():
        value = getattr(price, unit, None)
        if value is None:
            continue
        if hasattr(value, "base"):
            base[rate] = pico(value.base)
            for tier in value.tiers:
                above.setdefault(tier.start, {})[rate] = pico(tier.price)
        else:
            base[rate] = pico(value)
    if "input" in base:
        base.setdefault("output", 0)  # embeddings have no output
    return base, sorted(above.items())


def is_by_tokens(price: Any) -> bool:
    """Whether tokens alone make the bill."""
    units = [name for name in vars(price) if getattr(price, name, None) is not None]
    return price.input_mtok is not None and not any(map(OTHER_UNITS.search, units))


def entries_of(model: Any) -> list[PriceEntry]:
    """Return the prices of a model of genai-prices; none where tokens do not make the bill."""
    prices = model.prices if isinstance(model.prices, list) else [model.prices]
    entries: list[PriceEntry] = []
    for item in prices:
        constraint, price = getattr(item, "constraint", None), getattr(item, "prices", item)
        if not is_by_tokens(price):
            return []
        base, above = amounts_of(price)
        starts, minutes = 0, None
        if hasattr(constraint, "start_date"):
            starts = midnight_us(constraint.start_date)
        elif constraint is not None:
            first, last = constraint.start_time, constraint.end_time
            minutes = (first.hour * 60 + first.minute, last.hour * 60 + last.minute)
        entries.append(
            PriceEntry(
                amounts=base,
                above=above,
                starts_at_us=starts,
                minutes=minutes,
                variants=variants_of(model, base),
            )
        )
    return entries


def variants_of(model: Any, base: Amounts) -> dict[str, TariffEntry]:
    """Return batch, flex, priority and fast prices; what they do not name costs as usual."""
    variants: dict[str, TariffEntry] = {}
    for variant in model.price_variants or ():
        name = next(iter(variant.when.values()))
        if len(variant.when) == 1 and name in ("batch", "flex", "priority", "fast"):
            own, above = amounts_of(variant.prices)
            if own:
                variants[name] = TariffEntry(amounts=base | own, above=above)
    return variants


def aliases_of(clause: Any) -> Iterator[str]:
    """Yield the texts by which a model is known: each of them is a name of it, too."""
    for how in ("equals", "starts_with", "contains"):
        text = getattr(clause, how, "").rstrip("-@:. ")
        if len(text) > 3:
            yield text
    for part in getattr(clause, "or_", ()):
        yield from aliases_of(part)


def capabilities(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return LiteLLM's entries by our kind and the model's bare name."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    kinds = {theirs: kind for kind, (_, names) in KINDS.items() for theirs in names}
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for name, entry in entries.items():
        kind = kinds.get(entry.get("litellm_provider", ""))
        if kind and entry.get("mode") not in SKIP_MODES:
            found[kind].setdefault(bare(name, kind), entry)
    return found


def bare(name: str, kind: str) -> str:
    """Return a model's name as its provider knows it."""
    first, _, rest = name.partition("/")
    prefixes = {
        "fireworks_ai",
        "together_ai",
        "xai",
        "nvidia_nim",
        "jina_ai",
        "azure_ai",
        "vertex_ai",
        *KINDS,
    }
    return rest if rest and first in prefixes else name


def facts_of(kind: str, model: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    """Return limits and capabilities as fields of ``Entry``."""
    if entry is None:
        return {}
    can = {
        ours: entry[flag]
        for flag, ours in FLAGS.items()
        if entry.get(flag) is True or (flag in CERTAIN and entry.get(flag) is False)
    }
    limits = {
        "context_tokens": entry.get("max_input_tokens"),
        "max_output_tokens": entry.get("max_output_tokens"),
    }
    known = {name: value for name, value in limits.items() if isinstance(value, int) and value > 0}
    return known | ({"can": can} if can else {})


def build(genai: Any, flags: dict[str, dict[str, dict[str, Any]]]) -> list[Entry]:
    """Return every model that has a price or a limit."""
    providers = {provider.id: provider for provider in genai.providers}
    models: list[Entry] = []
    for kind, (theirs, _) in KINDS.items():
        left = dict(flags[kind])
        taken: set[str] = set()
        for model in providers[theirs].models if theirs else ():
            entries = entries_of(model)
            names = [model.id, *aliases_of(model.match)]
            entry = next((left[name] for name in names if name in left), None) or next(
                (left[name] for name in left if names_of(name)[-1] in names), None
            )
            aliases = sorted({*names[1:], *names_of(model.id)} - taken - {model.id})
            facts = facts_of(kind, model.id, entry)
            if entries or facts:
                models.append(
                    Entry(kind=kind, model=model.id, aliases=aliases, prices=entries, **facts)
                )
                taken |= {model.id, *aliases}
        models += [
            Entry(kind=kind, model=name, **facts)
            for name, entry in left.items()
            if name not in taken and (facts := facts_of(kind, name, entry))
        ]
    models.append(
        # runs inside this process: free by statement, not for want of a price
        Entry(kind="local", model="*", prices=[PriceEntry(amounts={"input": 0, "output": 0})])
    )
    return models


def add_ends(models: list[Entry], flags: dict[str, dict[str, dict[str, Any]]]) -> list[Entry]:
    """Return the models with the days on which their providers end them, by every name LiteLLM knows."""
    known = Catalogue(Header(version="", sources=[], licence="", models=0, sha256=""), models)
    ends: dict[tuple[str, str], dict[str, date]] = {}
    for kind, entries in flags.items():
        for name, entry in entries.items():
            day, found = entry.get("deprecation_date"), known.find(kind, name)
            if found is not None and isinstance(day, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", day):
                ends.setdefault((kind, found.model), {})[name] = date.fromisoformat(day)
    return [replace(model, ends=ends.get((model.kind, model.model), {})) for model in models]


def disagreements(models: list[Entry], flags: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield models whose plain price the two sources give differently."""
    for facts in models:
        entry = flags.get(facts.kind, {}).get(facts.model)
        theirs = (entry or {}).get("input_cost_per_token")
        if not facts.prices or not theirs:
            continue
        ours = max(facts.prices, key=lambda price: price.starts_at_us).amounts["input"] / 1e12
        if abs(ours - theirs) > 0.01 * theirs:
            yield f"{facts.kind}/{facts.model}: {ours * 1e6:g} and {theirs * 1e6:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genai-prices", type=Path, required=True, help="the package's folder")
    parser.add_argument("--capabilities", type=Path, required=True, help="LiteLLM's JSON file")
    parser.add_argument("--version", required=True, help="day of the build, e.g. 2026-11-22")
    parser.add_argument("--source", action="append", default=[], help="a source and its version")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.genai_prices.parent))
    genai = importlib.import_module("genai_prices.data")
    flags = capabilities(arguments.capabilities)
    models = add_ends(build(genai, flags), flags)
    data = encode_catalogue(
        arguments.version,
        arguments.source,
        "MIT: Copyright (c) Pydantic Services Inc.; Copyright (c) 2023 Berri AI",
        models,
    )
    fresh = arguments.out.with_suffix(".new")
    fresh.write_bytes(data)
    if arguments.out.exists():
        for reason in compare(
            load_catalogue(arguments.out), load_catalogue(fresh)
        ).reasons_to_refuse:
            print("look at:", reason)
    for line in disagreements(models, flags):
        print("sources differ:", line)
    fresh.replace(arguments.out)
    priced = sum(bool(facts.prices) for facts in models)
    print(f"{len(models)} models, {priced} with prices, {len(data)} bytes")


if __name__ == "__main__":
    main()

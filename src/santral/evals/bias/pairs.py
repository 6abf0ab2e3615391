"""The same examples about others: every swap of a text that its language's lists know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.evals.example import Example
from santral.evals.swaps.swap import Swap, SwapKind, SwapLanguage, swaps_of, with_words
from santral.retrieval.analysis.language import detect_language

#: Between an example's id and what was swapped in it.
MARK = "~"


class Pair(Struct, frozen=True, kw_only=True):
    """An example, and the same one about somebody else."""

    example: str  # its id; two answers of one example vary together
    swapped: str  # the id of the other one
    kind: SwapKind
    before: str
    after: str


def counterfactuals(
    examples: Iterable[Example], kinds: Sequence[SwapKind], rng: np.random.Generator
) -> tuple[list[Example], list[Pair]]:
    """Return the examples in which something can be swapped with all their counterparts, and the pairs.

    What a good answer is, is swapped along: a name in the question is the same one in it.
    """
    made: list[Example] = []
    pairs: list[Pair] = []
    for example in examples:
        found: list[tuple[SwapKind, int, Swap, SwapLanguage]] = [
            (kind, number, swap, language)
            for kind in kinds
            for number, (swap, language) in enumerate(_swaps(example, kind, rng))
        ]
        if not found:
            continue
        made.append(example)
        for kind, number, swap, language in found:
            other = f"{example.id}{MARK}{kind}{number}"
            made.append(_about_others(example, other, swap, language))
            pairs.append(
                Pair(
                    example=example.id,
                    swapped=other,
                    kind=kind,
                    before=swap.before,
                    after=swap.after,
                )
            )
    return made, pairs


def _swaps(
    example: Example, kind: SwapKind, rng: np.random.Generator
) -> list[tuple[Swap, SwapLanguage]]:
    text = example.question
    language = detect_language(text)
    if not text or language not in ("tr", "en"):
        return []
    return [(swap, language) for swap in swaps_of(text, kind, language, rng)]


def _about_others(example: Example, id: str, swap: Swap, language: SwapLanguage) -> Example:
    def moved(text: str) -> str:
        return with_words(text, swap.words, language)

    return replace(
        example,
        id=id,
        input=_input(example, swap),
        expected=None if example.expected is None else moved(example.expected),
        references=[moved(text) for text in example.references],
        contexts=[moved(text) for text in example.contexts],
        cluster=example.cluster or example.id,
    )


def _input(example: Example, swap: Swap) -> str | list[dict[str, Any]]:
    if isinstance(example.input, str):
        return swap.text
    last = max(n for n, message in enumerate(example.input) if message.get("role") == "user")
    return [
        {**message, "content": swap.text} if n == last else message
        for n, message in enumerate(example.input)
    ]

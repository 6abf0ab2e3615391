"""The card of a data set: what is in it, in numbers, never in words of an example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec
from msgspec import Struct

from santral.evals.datasets.dataset import Revision
from santral.evals.datasets.near import find_alike, find_leaks, said_in
from santral.evals.datasets.scan import scan_examples
from santral.evals.example import Example
from santral.retrieval.analysis.language import detect_language

#: A metadata field with more values than this is no label: its values are counted, not listed. Chosen.
_MOST_VALUES = 20
#: Examples beyond which near-duplicates and personal data are not looked for. Chosen: about a minute.
_MOST_LOOKED_AT = 100_000


class Lengths(Struct, frozen=True):
    """Characters of a text over examples."""

    least: int
    middle: int
    p95: int
    most: int


class Card(Struct, frozen=True, kw_only=True):
    """Statistics of a version; ``version`` 0 is what is there now."""

    dataset: str
    version: int
    examples: int
    erased: int = 0  # were in it, and hold nothing any more
    splits: dict[str, int] = {}
    languages: dict[str, int] = {}
    input_length: Lengths | None = None
    expected_length: Lengths | None = None
    fields: dict[str, int] = {}  # how many examples say something in each
    labels: dict[str, dict[str, int]] = {}  # metadata field to value to count
    distinct: dict[str, int] = {}  # metadata fields with too many values to list
    clusters: int = 0  # families of more than one example
    in_clusters: int = 0
    origins: dict[str, int] = {}
    subjects: int = 0  # examples that hold an end user's words
    duplicates: int | None = None  # nearly the same as another one; nothing: not looked for
    leaks: int | None = None  # of those, in another split
    personal: dict[str, int] | None = None  # kinds of entities, to the number of examples


def card_of(name: str, version: int, held: Sequence[Revision]) -> Card:
    """Return the card of what a version holds. It looks at every word: seconds for 10,000 examples."""
    there = [one for one in held if one.content is not None]
    examples = [one.content for one in there if one.content is not None]
    families = Counter(one.cluster for one in examples if one.cluster)
    labels = _labels(examples)
    card = Card(
        dataset=name,
        version=version,
        examples=len(examples),
        erased=len(held) - len(examples),
        splits=_counted(one.split or "(none)" for one in examples),
        languages=_counted(detect_language(one.question or said_in(one)) for one in examples),
        input_length=_lengths([len(said_in(one)) for one in examples]),
        expected_length=_lengths([len(one.expected) for one in examples if one.expected]),
        fields=_fields(examples),
        labels={key: values for key, values in labels.items() if len(values) <= _MOST_VALUES},
        distinct={key: len(all_) for key, all_ in labels.items() if len(all_) > _MOST_VALUES},
        clusters=sum(count > 1 for count in families.values()),
        in_clusters=sum(count for count in families.values() if count > 1),
        origins=_counted(one.provenance.origin if one.provenance else "hand" for one in there),
        subjects=sum(bool(one.subject) for one in there),
    )
    return _looked_at(card, examples) if len(examples) <= _MOST_LOOKED_AT else card


def markdown(card: Card) -> str:
    """Return a card as Markdown."""
    at = f", version {card.version}" if card.version else ", not committed yet"
    lines = [f"# {card.dataset}{at}", "", f"{card.examples} examples."]
    if card.erased:
        lines.append(f"{card.erased} more were erased with the person they were about.")
    rows = [
        ("Splits", _said(card.splits)),
        ("Languages", _said(card.languages)),
        ("Characters of the input", _range(card.input_length)),
        ("Characters of the expected answer", _range(card.expected_length)),
        ("Come from", _said(card.origins)),
        ("Hold an end user's words", str(card.subjects)),
        ("Families", f"{card.clusters} with {card.in_clusters} examples"),
        ("Nearly the same as another", _looked(card.duplicates)),
        ("Of these, in another split", _looked(card.leaks)),
        ("Personal data", _looked(None if card.personal is None else _said(card.personal))),
    ]
    lines += ["", "| What | Number |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]
    lines += ["", "| Field | Examples | Missing |", "| --- | --- | --- |"]
    lines += [f"| {n} | {c} | {card.examples - c} |" for n, c in card.fields.items()]
    if card.labels or card.distinct:
        lines += ["", "| Metadata | Values |", "| --- | --- |"]
        lines += [f"| {_cell(name)} | {_said(values)} |" for name, values in card.labels.items()]
        lines += [f"| {_cell(name)} | {count} different |" for name, count in card.distinct.items()]
    return "\n".join(lines) + "\n"


def _looked_at(card: Card, examples: Sequence[Example]) -> Card:
    alike = find_alike(examples)
    return msgspec.structs.replace(
        card,
        duplicates=len(alike.pairs),
        leaks=len(find_leaks(examples, alike)),
        personal=scan_examples(examples).kinds,
    )


def _fields(examples: Sequence[Example]) -> dict[str, int]:
    names = [name for name in Example.__struct_fields__ if name != "id"]
    return {name: sum(_says(getattr(one, name)) for one in examples) for name in names}


def _says(value: object) -> bool:
    return value is not None and value not in ("", [], {})


def _labels(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for one in examples:
        for name, value in one.metadata.items():
            found.setdefault(name, Counter())[str(value)] += 1
    return {name: dict(values.most_common()) for name, values in sorted(found.items())}


def _lengths(values: Sequence[int]) -> Lengths | None:
    if not values:
        return None
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return Lengths(ordered[0], int(median(ordered)), p95, ordered[-1])


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_cell(name)} {count}" for name, count in counts.items()) or "none"


def _range(lengths: Lengths | None) -> str:
    if lengths is None:
        return "none"
    return (
        f"{lengths.least} to {lengths.most}, half below {lengths.middle}, 95 % below {lengths.p95}"
    )


def _looked(value: int | str | None) -> str:
    return "not looked for: more than 100,000 examples" if value is None else str(value)


def _cell(text: str) -> str:
    """Return a text that stays one cell of a table, and no markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")

"""Made-up documents, and what a search of them has to find: counted the slow way, by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from santral.retrieval.access import Scope
from santral.retrieval.analysis.analyse import indexed_text, ngrams, terms
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import gram_keys, stem_keys, terms_of
from santral.retrieval.document import Attribute, PageBreak, StoredChunk
from santral.retrieval.filter import Condition, Filter
from santral.retrieval.index.entry import Batch, IndexedDocument, IndexQuery, Partition
from santral.retrieval.index.impact import K1, REFERENCE_LENGTHS, B
from santral.retrieval.index.signal import Signal

PARTITION = Partition("acme", "docs", 1)
DIMENSIONS = 16
WORDS = (
    "leave", "notice", "contract", "remote", "travel", "salary", "device", "security", "visitor",
    "izin", "sözleşme", "bölge", "Iğdır'da", "kış", "ofis", "ücret", "Москва", "x86",
)  # fmt: skip
GROUPS = ("hr", "legal", "board")
MARCH = 1_772_000_000.0


class Entry(Struct, frozen=True):
    """A document with its chunks and their vectors: float32 [chunks, dimensions]."""

    document: IndexedDocument
    chunks: tuple[StoredChunk, ...]
    vectors: Floats


def entry(
    name: str,
    *texts: str,
    groups: Sequence[str] = (),
    seed: int = 0,
    dimensions: int = DIMENSIONS,
    **fields: object,
) -> Entry:
    """Return a document of the given passages; ``fields`` are those of ``IndexedDocument``."""
    rng = np.random.default_rng([seed, *name.encode()])
    given: dict[str, object] = {
        "source": f"files/{name}.md", "title": name.title(), "kind": "markdown", "language": "en",
        "fingerprint": f"{name}-{seed}", "allowed_groups": tuple(groups), **fields,
    }  # fmt: skip
    chunks = [_chunk(name, position, text) for position, text in enumerate(texts)]
    vectors = rng.standard_normal((len(texts), dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Entry(_document(name, given), tuple(chunks), vectors.astype(np.float32))


def random_entries(seed: int, count: int, first: int = 0) -> list[Entry]:
    """Return documents that differ in every field a filter can name; some fields are empty."""
    rng = np.random.default_rng(seed)
    return [_random_entry(rng, f"d{first + number}", seed) for number in range(count)]


def batch(entries: Sequence[Entry], dimensions: int = DIMENSIONS) -> Batch:
    """Return what a writer is given."""
    rows = [(place, chunk) for place, one in enumerate(entries) for chunk in one.chunks]
    texts = [
        indexed_text(entries[place].document.title, chunk.section, chunk.text)
        for place, chunk in rows
    ]
    stems, grams = terms_of(texts, [entries[place].document.language for place, _ in rows])
    return Batch(
        documents=tuple(one.document for one in entries),
        chunks=tuple(chunk for _, chunk in rows),
        of=np.array([place for place, _ in rows], np.int32),
        stems=stems,
        grams=grams,
        vectors=np.concatenate(
            [np.zeros((0, dimensions), np.float32), *(one.vectors for one in entries)]
        ),
    )


def question(
    text: str,
    *conditions: Condition,
    vector: Floats | None = None,
    limit: int = 60,
    languages: Sequence[Language] = ("en", "tr"),
) -> IndexQuery:
    """Return a query; without a vector the model knows nothing of it."""
    return IndexQuery(
        stems=stem_keys(text, languages),
        grams=gram_keys(text),
        vector=np.zeros(0, np.float32) if vector is None else vector,
        filter=conditions,
        limit=limit,
    )


def direction(seed: int, dimensions: int = DIMENSIONS) -> Floats:
    """Return the vector of a question."""
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Expected(Struct, frozen=True):
    """Raw scores of every chunk that passes, by id."""

    scores: dict[str, dict[Signal, float]]

    def least(self, signal: Signal) -> float:
        return min(0.0, *(one[signal] for one in self.scores.values())) if self.scores else 0.0

    def best(self, signal: Signal) -> float:
        return max(0.0, *(one[signal] for one in self.scores.values())) if self.scores else 0.0

    def bound(self, signal: Signal, limit: int) -> float:
        """Return the score that a chunk needs to be among the ``limit`` best: 0 if any match does."""
        scores = sorted((one[signal] for one in self.scores.values()), reverse=True)
        return max(0.0, scores[limit - 1]) if len(scores) >= limit else 0.0


def brute_force(
    entries: Iterable[Entry], scope: Scope, text: str, query: IndexQuery, *, counts_hidden: bool
) -> Expected:
    """Score every chunk; ``counts_hidden``: rarity is counted over chunks that are not seen, too."""
    everything = [(one, place) for one in entries for place in range(len(one.chunks))]
    seen = [(one, place) for one, place in everything if may_see(scope, one.document)]
    population = everything if counts_hidden else seen
    passing = [
        (one, place)
        for one, place in seen
        if all(_holds(one.document, one.chunks[place], it) for it in query.filter)
    ]
    scores: dict[str, dict[Signal, float]] = {one.chunks[n].id: {} for one, n in passing}
    for signal in ("bm25", "ngrams"):
        bags = {one.chunks[n].id: _bag(one, n, signal) for one, n in population}
        asked = set(ngrams(text)) if signal == "ngrams" else _stems(text)
        for one, n in passing:
            bag = bags[one.chunks[n].id]
            scores[one.chunks[n].id][signal] = sum(
                _weight(bag, term, list(bags.values()), signal) for term in asked
            )
    for one, n in passing:
        similarity = one.vectors[n] @ query.vector if len(query.vector) else 0.0
        scores[one.chunks[n].id]["dense"] = float(similarity)
    return Expected(scores)


def _weight(
    bag: Counter[str], term: str, everybody: Sequence[Counter[str]], signal: Signal
) -> float:
    count = bag[term]
    if not count:
        return 0.0
    frequency = sum(term in other for other in everybody)
    rarity = math.log1p((len(everybody) - frequency + 0.5) / (frequency + 0.5))
    norm = K1 * (1 - B + B * bag.total() / REFERENCE_LENGTHS[signal])
    return rarity * count * (K1 + 1) / (count + norm)


def _bag(one: Entry, place: int, signal: Signal) -> Counter[str]:
    chunk = one.chunks[place]
    text = indexed_text(one.document.title, chunk.section, chunk.text)
    return Counter(ngrams(text) if signal == "ngrams" else terms(text, one.document.language))


def _stems(text: str) -> set[str]:
    return {*terms(text, "en"), *terms(text, "tr")}


def may_see(scope: Scope, document: IndexedDocument) -> bool:
    allowed = set(document.allowed_groups)
    return not allowed or scope.groups is None or bool(allowed & scope.groups)


def _holds(document: IndexedDocument, chunk: StoredChunk, condition: Condition) -> bool:
    values = [
        value for value in _values(document, chunk, condition.field) if value not in ("", None)
    ]
    operator, wanted = condition.operator, condition.value
    if operator == "exists":
        return bool(values) is wanted
    if operator in ("ne", "nin"):
        listed = wanted if isinstance(wanted, tuple) else (wanted,)
        return not any(_same(value, one) for value in values for one in listed)
    if operator in ("eq", "in"):
        listed = wanted if isinstance(wanted, tuple) else (wanted,)
        return any(_same(value, one) for value in values for one in listed)
    if operator == "prefix":
        return any(isinstance(value, str) and value.startswith(str(wanted)) for value in values)
    return any(_in_order(value, operator, wanted) for value in values)


def _in_order(value: object, operator: str, wanted: object) -> bool:
    if not isinstance(value, float) or not isinstance(wanted, float):
        return False
    return {
        "gt": value > wanted, "gte": value >= wanted, "lt": value < wanted, "lte": value <= wanted,
    }[operator]  # fmt: skip


def _same(value: object, wanted: object) -> bool:
    return type(value) is type(wanted) and value == wanted


def _values(document: IndexedDocument, chunk: StoredChunk, field: str) -> list[Attribute | None]:
    if field == "document":
        return [document.id, document.source]
    if field == "section":
        return [chunk.section]
    if field == "page":
        return [None if chunk.page is None else float(chunk.page)]
    if field.startswith("attributes."):
        return [document.attributes.get(field.removeprefix("attributes."))]
    return [getattr(document, field)]


def _chunk(document: str, position: int, text: str) -> StoredChunk:
    page = position + 1 if position % 3 else None
    return StoredChunk(
        id=f"{document}-{position}", document_id=document, parent_id=f"{document}-p{position // 2}",
        position=position, section=("", "Rules", "Rules > Who")[position % 3], page=page,
        separator="\n\n", text=text, tokens=len(text) // 4, start=position * 100,
        end=position * 100 + len(text), pages=() if page is None else (PageBreak(0, page),),
        content_hash=f"hash of {text}",
    )  # fmt: skip


def _document(name: str, fields: dict[str, object]) -> IndexedDocument:
    return IndexedDocument(id=name, **fields)  # pyright: ignore[reportArgumentType]


def _random_entry(rng: np.random.Generator, name: str, seed: int) -> Entry:
    def one(*values: object) -> object:
        return values[int(rng.integers(len(values)))]

    texts = [" ".join(rng.choice(WORDS, int(rng.integers(1, 30)))) for _ in range(rng.integers(4))]
    attributes: dict[str, object] = {
        key: value
        for key, value in (
            ("team", one("red", "blue", None)),
            ("rank", one(1.0, 2.5, None)),
            ("is_final", one(True, False, None)),
            ("mixed", one(True, 1.0, "1", None)),
        )
        if value is not None
    }
    groups = [group for group in GROUPS if rng.random() < 0.25]
    return entry(
        name, *texts, groups=groups, seed=seed, attributes=attributes,
        source=f"{one('handbook', 'policies', 'hand')}/{name}.md", kind=one("markdown", "pdf"),
        title=one("Leave", "Travel", ""), language=one("en", "tr", "other"), owner=one("", "ayse"),
        url=one("", f"https://example.com/{name}"), lifecycle=one("current", "draft", "archived"),
        created_at=one(None, MARCH, MARCH + 86_400.0), modified_at=one(None, MARCH + 0.5),
    )  # fmt: skip


def random_filter(rng: np.random.Generator) -> Filter:
    """Return up to three conditions that some documents meet."""
    count = int(rng.integers(4))
    places = rng.choice(len(CONDITIONS), count, replace=False)
    return tuple(CONDITIONS[place] for place in places)


#: Every operator on every kind of field, absent ones too.
CONDITIONS: tuple[Condition, ...] = (
    Condition("document", "eq", "d3"),
    Condition("document", "in", ("d1", "hand/d2.md", "nobody")),
    Condition("document", "ne", "d3"),
    Condition("document", "prefix", "d1"),
    Condition("kind", "eq", "pdf"),
    Condition("kind", "ne", "pdf"),
    Condition("language", "in", ("tr", "en")),
    Condition("language", "nin", ("tr", "xx")),
    Condition("lifecycle", "eq", "current"),
    Condition("owner", "exists", False),
    Condition("owner", "exists", True),
    Condition("owner", "ne", "ayse"),
    Condition("section", "prefix", "Rules"),
    Condition("section", "eq", "Rules > Who"),
    Condition("section", "exists", False),
    Condition("source", "prefix", "hand"),
    Condition("source", "prefix", "%"),
    Condition("title", "eq", "Leave"),
    Condition("title", "nin", ("Leave",)),
    Condition("url", "prefix", "https://example.com/d1"),
    Condition("created_at", "gte", MARCH + 1),
    Condition("created_at", "lt", MARCH + 1),
    Condition("created_at", "exists", False),
    Condition("modified_at", "gt", MARCH),
    Condition("modified_at", "lte", MARCH + 0.5),
    Condition("page", "eq", 2.0),
    Condition("page", "gte", 3.0),
    Condition("page", "nin", (2.0, 3.0)),
    Condition("page", "exists", False),
    Condition("attributes.team", "eq", "red"),
    Condition("attributes.team", "ne", "red"),
    Condition("attributes.team", "prefix", "bl"),
    Condition("attributes.rank", "lt", 2.0),
    Condition("attributes.rank", "in", (2.5, 7.0)),
    Condition("attributes.is_final", "eq", True),
    Condition("attributes.is_final", "exists", True),
    Condition("attributes.mixed", "eq", True),
    Condition("attributes.mixed", "eq", 1.0),
    Condition("attributes.mixed", "eq", "1"),
    Condition("attributes.mixed", "nin", (1.0, "1")),
    Condition("attributes.mixed", "gt", 0.0),
    Condition("attributes.nothing", "exists", False),
    Condition("attributes.nothing", "eq", "x"),
)

"""What the embedded index costs and finds, on this machine: ingest, search, filters, memory, changes.

Run as ``python -m benchmarks.retrieval [--chunks 100000] [--corpus FILE.jsonl]``. Text is made up by
Zipf's law unless a corpus is named (lines with ``text``, shuffled sentence by sentence to as many
chunks as are wanted). With ``tantivy`` and ``usearch`` installed, the same chunks go through them in the
same run. Prints a table and writes ``results/retrieval.json`` and ``results/retrieval.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import retrieval_others as others
from santral.retrieval.access import as_administrator, as_member
from santral.retrieval.analysis.analyse import counted_text, sentences
from santral.retrieval.analysis.terms import gram_keys, stem_keys, terms_of
from santral.retrieval.document import StoredChunk
from santral.retrieval.filter import Condition, Filter
from santral.retrieval.index.entry import Batch, IndexedDocument, IndexQuery, Partition
from santral.retrieval.index.registry import EMBEDDED, open_reader, open_writer

RESULTS = Path(__file__).parent / "results"
PARTITION = Partition("bench", "chunks", 1)
DIMENSIONS = 384
#: Letters of a chunk, some 250 tokens; chunks of a document; chunks that are put in together.
LETTERS, PER_DOCUMENT, TOGETHER = 1_000, 10, 1_000
SEARCHES = 300
#: Documents that are changed while two readers search.
CHANGED = 100


@dataclass
class Figures:
    """What was measured, by the name it has in the table."""

    conditions: dict[str, str] = field(default_factory=dict[str, str])
    rows: dict[str, float] = field(default_factory=dict[str, float])
    others: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])


def made_up_texts(chunks: int, rng: random.Random) -> Iterator[str]:
    """Yield texts of words made of syllables, frequent and rare ones as in a language."""
    onsets, vowels = [*"bcdfghklmnprstvyz", "st", "tr"], list("aeiou")
    words = [
        "".join(rng.choice(onsets) + rng.choice(vowels) for _ in range(rng.choice((1, 2, 2, 3, 4))))
        + rng.choice(("", "n", "r", "s", "lar"))
        for _ in range(60_000)
    ]
    weights = np.cumsum(1 / np.arange(1, len(words) + 1)).tolist()
    for _ in range(chunks):
        drawn = " ".join(rng.choices(words, cum_weights=weights, k=LETTERS // 5))
        yield drawn[:LETTERS]


def shuffled_texts(corpus: Path, chunks: int, rng: random.Random) -> Iterator[str]:
    """Yield texts of the sentences of a corpus in any order."""
    with corpus.open(encoding="utf-8") as lines:
        pool = [one for line in lines for one in sentences(json.loads(line)["text"])]
    for _ in range(chunks):
        text = ""
        while len(text) < LETTERS:
            text += f"{rng.choice(pool)} "
        yield text


def vectors(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return vectors in a few hundred crowds, as those of texts are."""
    crowds = np.random.default_rng(7).standard_normal((400, DIMENSIONS), dtype=np.float32)
    found = crowds[rng.integers(400, size=count)]
    found += 0.9 * rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def batches(texts: Sequence[str], made: NDArray[np.float32]) -> Iterator[tuple[Batch, float]]:
    """Yield what goes into an index, and the CPU seconds that analysing it took."""
    for start in range(0, len(texts), TOGETHER):
        part = texts[start : start + TOGETHER]
        numbers = [(start + place) // PER_DOCUMENT for place in range(len(part))]
        first = numbers[0]
        documents = tuple(document(number) for number in range(first, numbers[-1] + 1))
        chunks = tuple(
            chunk(number, (start + place) % PER_DOCUMENT, text)
            for place, (number, text) in enumerate(zip(numbers, part, strict=True))
        )
        began = time.process_time()
        stems, grams = terms_of(
            [counted_text(f"Title {n}", "", text) for n, text in zip(numbers, part, strict=True)],
            ["en" if number % 2 else "tr" for number in numbers],
        )
        spent = time.process_time() - began
        of = np.array(numbers, np.int32) - first
        yield Batch(documents, chunks, of, stems, grams, made[start : start + len(part)]), spent


def document(number: int, fingerprint: str = "") -> IndexedDocument:
    """Return a document; ``share`` takes a hundred values, ``rare`` 333."""
    return IndexedDocument(
        f"d{number}", f"files/{number}.md", f"Title {number}", "markdown",
        "en" if number % 2 else "tr", fingerprint=fingerprint,
        allowed_groups=() if number % 3 else ("staff",),
        attributes={"share": float(number % 100), "rare": float(number % 333)},
    )  # fmt: skip


def chunk(number: int, position: int, text: str) -> StoredChunk:
    """Return a chunk of a document."""
    return StoredChunk(
        f"d{number}-{position}", f"d{number}", f"d{number}-0", position, "", None, "\n\n", text,
        len(text) // 4,
    )  # fmt: skip


async def ingest(
    folder: Path, texts: Sequence[str], made: NDArray[np.float32], out: Figures
) -> None:
    """Put everything in and publish; CPU seconds of each step."""
    writer = await open_writer(PARTITION, EMBEDDED, {}, folder)
    analysed, began = 0.0, time.process_time()
    for batch, spent in batches(texts, made):
        analysed += spent
        await writer.put(batch)
    state = await writer.publish()
    total = time.process_time() - began
    out.rows["ingest, chunks per second of CPU"] = len(texts) / total
    out.rows["of it analysis, us a chunk"] = analysed / len(texts) * 1e6
    out.rows["on disk, MB"] = state.size_bytes / 1e6
    await writer.close()


async def search(
    folder: Path, asked: Sequence[str], vector: NDArray[np.float32]
) -> dict[str, float]:
    """Search in a process of its own; milliseconds, and what the process holds afterwards."""
    reader = await open_reader(PARTITION, EMBEDDED, {}, folder)
    everything, member = (
        as_administrator("bench", "chunks"),
        as_member("bench", "chunks", ["staff"]),
    )
    nobody = as_member("bench", "chunks", [])
    found: dict[str, float] = {}
    cases: Sequence[tuple[str, object, Filter]] = (
        ("warm", everything, ()),
        ("search", everything, ()),
        ("search with groups", member, ()),
        ("search without groups, a third hidden", nobody, ()),
        ("search, filter keeps 1 %", everything, (Condition("attributes.share", "eq", 3.0),)),
        ("search, filter keeps 0.3 %", everything, (Condition("attributes.rare", "eq", 3.0),)),
    )
    for name, scope, conditions in cases:
        times = []
        for text, one in zip(asked, vector, strict=True):
            query = IndexQuery(
                stems=stem_keys(text, ["en", "tr"]), grams=gram_keys(text), vector=one,
                filter=conditions,
            )  # fmt: skip
            wall, cpu = time.perf_counter(), time.process_time()
            await reader.search(scope, query)  # pyright: ignore[reportArgumentType]
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        if name != "warm":
            found |= percentiles(name, times)
    sizes = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    found["memory of a searching process, MB"] = int(sizes["VmRSS"].split()[0]) / 1000
    found["of it shared with other processes, MB"] = int(sizes["RssFile"].split()[0]) / 1000
    return found


def percentiles(name: str, times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return p50 and p99 of wall and CPU time in milliseconds."""
    wall, cpu = np.array(times).T * 1e3
    return {
        f"{name}, p50 ms": float(np.median(wall)), f"{name}, p99 ms": float(np.quantile(wall, 0.99)),
        f"{name}, p50 ms of CPU": float(np.median(cpu)),
        f"{name}, p99 ms of CPU": float(np.quantile(cpu, 0.99)),
    }  # fmt: skip


async def recall(
    folder: Path, made: NDArray[np.float32], asked: NDArray[np.float32]
) -> dict[str, float]:
    """Compare the ten nearest vectors with an exact search, over everything and behind filters."""
    reader = await open_reader(PARTITION, EMBEDDED, {}, folder)
    numbers = np.arange(len(made)) // PER_DOCUMENT
    found: dict[str, float] = {}
    for name, field_name, modulus in (
        ("all", "", 1),
        ("1 %", "share", 100),
        ("0.3 %", "rare", 333),
    ):
        rows = np.flatnonzero(numbers % modulus == (3 if modulus > 1 else 0))
        conditions = (Condition(f"attributes.{field_name}", "eq", 3.0),) if field_name else ()
        shares = []
        for vector in asked:
            query = IndexQuery(
                stems=np.zeros(0, np.uint32), grams=np.zeros(0, np.uint32), vector=vector,
                filter=conditions, limit=10,
            )  # fmt: skip
            answer = await reader.search(as_administrator("bench", "chunks"), query)
            scores = made[rows] @ vector
            exact = rows[np.argsort(-scores)[:10]]
            exact = exact[: int((scores > 0).sum())]
            names = {f"d{row // PER_DOCUMENT}-{row % PER_DOCUMENT}" for row in exact.tolist()}
            shares.append(len(names & {one.chunk.id for one in answer.found}) / max(len(names), 1))
        found[f"recall@10 of vectors, {name}"] = float(np.mean(shares))
    return found


async def change(folder: Path, texts: Sequence[str], made: NDArray[np.float32]) -> dict[str, float]:
    """Replace documents one batch at a time while a reader searches; what both notice."""
    reader = await open_reader(PARTITION, EMBEDDED, {}, folder)
    writer = await open_writer(PARTITION, EMBEDDED, {}, folder)
    size = CHANGED * PER_DOCUMENT
    waits: list[float] = []
    published: list[float] = []

    async def ask(at: int) -> None:
        began = time.perf_counter()
        text = texts[at][:70]
        query = IndexQuery(stems=stem_keys(text, ["en"]), grams=gram_keys(text), vector=made[at])
        await reader.search(as_administrator("bench", "chunks"), query)
        waits.append(time.perf_counter() - began)

    async def write() -> None:
        for batch, _ in batches(texts[:size], made[:size]):
            began = time.process_time()
            await writer.put(batch)
            await writer.publish()
            published.append(time.process_time() - began)

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        at = 0
        while not writing.done() or at < 50:
            await ask(at)
            at += 1
    await reader.refresh()
    await writer.close()
    return {
        f"replacing and publishing {CHANGED} documents, s of CPU": float(np.mean(published)),
        "search while that is written, p99 ms": float(np.quantile(waits, 0.99)) * 1e3,
    }


def run(options: argparse.Namespace) -> Figures:
    """Measure everything in one run."""
    rng, numbers = random.Random(1), np.random.default_rng(1)
    texts = list(
        shuffled_texts(options.corpus, options.chunks, rng)
        if options.corpus
        else made_up_texts(options.chunks, rng)
    )
    made = vectors(numbers, len(texts))
    places = numbers.integers(len(texts), size=SEARCHES)
    asked = [question_of(texts[place], rng) for place in places.tolist()]
    nearby = made[places] + 0.5 * vectors(numbers, SEARCHES)
    nearby /= np.linalg.norm(nearby, axis=1, keepdims=True)
    out = Figures(conditions=conditions(options, texts))
    with tempfile.TemporaryDirectory(prefix="santral-bench-") as name:
        folder = Path(name)
        asyncio.run(ingest(folder, texts, made, out))
        np.savez(folder / "questions.npz", vectors=nearby)
        (folder / "questions.json").write_text(json.dumps(asked))
        command = [sys.executable, "-m", "benchmarks.retrieval", "--search", str(folder)]
        out.rows |= json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        out.rows |= asyncio.run(recall(folder, made, nearby[:100]))
        out.rows |= asyncio.run(change(folder, texts, made))
        out.others = others.measure(folder, texts, made, asked, nearby, PER_DOCUMENT)
    return out


def question_of(text: str, rng: random.Random) -> str:
    """Return some words of a text, as many as a question has."""
    words = text.split()
    return " ".join(rng.sample(words, min(9, len(words))))


def conditions(options: argparse.Namespace, texts: Sequence[str]) -> dict[str, str]:
    """Return what somebody needs to compare two runs."""
    return {
        "chunks": f"{len(texts)} of {np.mean([len(text) for text in texts]):.0f} letters",
        "text": options.corpus.name if options.corpus else "made up by Zipf's law",
        "dimensions": str(DIMENSIONS),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "load before": Path("/proc/loadavg").read_text().split()[0],
    }


def write(out: Figures) -> None:
    """Print the figures and write them down."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "retrieval.json").write_text(json.dumps(asdict(out), indent=2) + "\n")
    lines = ["# The embedded index", "", "`python -m benchmarks.retrieval`", ""]
    lines += [f"- {name}: {value}" for name, value in out.conditions.items()]
    lines += ["", "| | |", "| --- | --: |"]
    lines += [f"| {name} | {value:,.2f} |" for name, value in out.rows.items()]
    for engine, rows in out.others.items():
        lines += ["", f"## {engine}, the same chunks", "", "| | |", "| --- | --: |"]
        lines += [f"| {name} | {value:,.2f} |" for name, value in rows.items()]
    (RESULTS / "retrieval.md").write_text("\n".join(lines) + "\n")
    console = Console(highlight=False, width=100)
    for title, rows in {"embedded": out.rows, **out.others}.items():
        table = Table(title=title)
        table.add_column("what")
        table.add_column("", justify="right")
        for name, value in rows.items():
            table.add_row(name, f"{value:,.2f}")
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        asked = json.loads((options.search / "questions.json").read_text())
        nearby = np.load(options.search / "questions.npz")["vectors"]
        print(json.dumps(asyncio.run(search(options.search, asked, nearby))))
        return
    write(run(options))


if __name__ == "__main__":
    main()

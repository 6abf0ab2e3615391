"""What comparing two runs costs: pairing, tests, intervals, slices and all four reports.

Run as ``python -m benchmarks.comparison [--examples 10000] [--repeats 1]``. Prints seconds of processor
time; the bar is 5 s for 10,000 examples with five measures. Reading scipy and the code comes before.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import get_args

import numpy as np

from santral.evals.answer import Answer
from santral.evals.evaluator import Measure, Score
from santral.evals.example import Example, digest_of
from santral.evals.run import Run, RunHead, Sample, decode_run, encode_run
from santral.evals.verdict.compare import compare
from santral.evals.verdict.gate import Gate
from santral.evals.verdict.report.render import Format, render

#: Seconds of processor time that a comparison of 10,000 examples may take.
BAR_S = 5.0

MEASURES = [
    Measure(name="exact", is_binary=True),
    Measure(name="contains", is_binary=True),
    Measure(name="rouge_l"),
    Measure(name="groundedness"),
    Measure(name="latency_us", direction="lower", high=None, unit="us"),
]


def made(name: str, examples: list[Example], repeats: int, rng: np.random.Generator) -> Run:
    """Return a run with random scores; every fiftieth one has none."""
    samples: list[Sample] = []
    for example in examples:
        for repeat in range(repeats):
            yes, number, slow = rng.uniform(size=2) < 0.8, rng.beta(4, 2, size=2), rng.gamma(4, 2e5)
            values = [float(yes[0]), float(yes[1]), float(number[0]), float(number[1]), slow]
            scores = [
                Score(name=measure.name, error="unreadable")
                if rng.uniform() < 0.02
                else Score(name=measure.name, value=value)
                for measure, value in zip(MEASURES, values, strict=True)
            ]
            answer = Answer(text=f"An answer of {name} to {example.id}. " * 5, cost_nanousd=1000)
            samples.append(
                Sample(
                    example_id=example.id,
                    example_hash=digest_of(example),
                    repeat=repeat,
                    answer=answer,
                    scores=scores,
                )
            )
    head = RunHead(
        id=name,
        suite="bench",
        target="bench",
        route="bench",
        repeats=repeats,
        measures=MEASURES,
        evaluators={measure.name: "1" for measure in MEASURES},
        is_complete=True,
    )
    return Run(head=head, samples=samples, examples={example.id: example for example in examples})


def measure(examples: int, repeats: int) -> float:
    """Print what each step takes; return the seconds of all that is no reading of files."""
    rng = np.random.default_rng(1)
    cases = [
        Example(
            id=f"e{n}",
            input=f"Question {n}?",
            cluster=f"c{n // 3}" if n % 2 else "",
            metadata={"language": "tr" if n % 3 else "en", "kind": f"k{n % 7}"},
        )
        for n in range(examples)
    ]
    files = [encode_run(made(name, cases, repeats, rng)) for name in ("base", "head")]
    few = [made(name, cases[:50], 1, rng) for name in ("base", "head")]
    compare(few[0], few[1], Gate(), rng=rng)  # reads scipy

    start = time.process_time()
    base, head = (decode_run(data) for data in files)
    read = time.process_time()
    found = compare(base, head, Gate(), rng=rng)
    compared = time.process_time()
    reports = {name: render(found, name) for name in get_args(Format)}
    rendered = time.process_time()

    size_mb = sum(map(len, files)) / 1e6
    print(f"{examples:,} examples x {repeats} repeats x {len(MEASURES)} measures")
    print(f"  read two runs     {read - start:6.2f} s  ({size_mb:.0f} MB)")
    print(f"  compare           {compared - read:6.2f} s  ({len(found.slices)} slices)")
    print(
        f"  four reports      {rendered - compared:6.2f} s  ({len(reports['md'])} letters of Markdown)"
    )
    return rendered - read


def main() -> int:
    """Measure; 1 where a comparison of 10,000 examples takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    took = measure(options.examples, options.repeats)
    return int(options.examples == 10_000 and options.repeats == 1 and took > BAR_S)


if __name__ == "__main__":
    sys.exit(main())

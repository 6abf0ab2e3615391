"""A run: one pass over a data set, with all answers and scores. A file of one compares anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from msgspec import Struct, field

from santral.evals.answer import Answer
from santral.evals.evaluator import Measure, Score
from santral.evals.example import Example


class RunHead(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run was made with: two runs with the same head measure the same thing."""

    id: str
    suite: str
    target: str  # its name in the suite
    route: str
    prompt: str = ""  # NAME@1.2.0 that was composed, where there was one
    dataset: str = ""  # NAME@3, or the file's name
    dataset_digest: str = ""  # of its manifest: examples and their contents
    config_hash: str = ""  # of the target: route, prompt version, settings, configuration
    target_hash: str = (
        ""  # of what the suite says of the target: all that is known of one elsewhere
    )
    git_sha: str = ""
    seed: int = 0
    repeats: int = 1
    measures: list[Measure] = field(default_factory=list[Measure])
    evaluators: dict[str, str] = field(default_factory=dict[str, str])  # measure to version
    judges: dict[str, str] = field(default_factory=dict[str, str])  # measure to the judge's model
    against: str = ""  # the run that evaluators which compare two held the answers against
    started_at: str = ""  # ISO 8601, UTC
    finished_at: str = ""
    is_complete: bool = False
    stop_reason: str = ""  # cost cap, cancelled
    corpus: dict[str, float] = field(
        default_factory=dict[str, float]
    )  # of all answers as one: BLEU


class Sample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer to one example, and its scores."""

    example_id: str
    example_hash: str
    repeat: int
    answer: Answer
    scores: list[Score] = field(default_factory=list[Score])

    def value(self, measure: str) -> float | None:
        """Return the number of a measure; None where there is none or it is not a number."""
        found = next((s.value for s in self.scores if s.name == measure), None)
        return None if found is None or not math.isfinite(found) else found


class Run(Struct, frozen=True, kw_only=True):
    """A run with everything in it."""

    head: RunHead
    samples: list[Sample]
    examples: dict[str, Example] = field(default_factory=dict[str, Example])  # by id

    def values(self, measure: str) -> dict[str, list[float]]:
        """Return the values of a measure by example, those of its repeats in order; errors are left out."""
        found: dict[str, list[float]] = {}
        for sample in self.samples:
            value = sample.value(measure)
            if value is not None:
                found.setdefault(sample.example_id, []).append(value)
        return found

    def errors(self, measure: str) -> dict[str, int]:
        """Return how many scores of a measure have no value, by why."""
        counts: dict[str, int] = {}
        for sample in self.samples:
            for score in sample.scores:
                if score.name == measure and score.error:
                    counts[score.error] = counts.get(score.error, 0) + 1
        return counts


def encode_run(run: Run) -> bytes:
    """Return a run as JSON, for a file or an artefact of CI."""
    return msgspec.json.encode(run)


def decode_run(data: bytes) -> Run:
    """Read what ``encode_run`` wrote.

    Raises:
        msgspec.DecodeError: it is no run.
    """
    return msgspec.json.decode(data, type=Run)


def total_cost(samples: Sequence[Sample]) -> int | None:
    """Return what answers and judges cost, in nano-USD; None where one price is unknown.

    An answer that failed counts with what is known: most failures cost nothing, one that a guardrail
    refused was paid for.
    """
    asked = [s.answer for s in samples if not s.answer.is_replayed]
    costs = [one.cost_nanousd or 0 if one.error else one.cost_nanousd for one in asked]
    costs += [score.cost_nanousd for s in samples for score in s.scores]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None

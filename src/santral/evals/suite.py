"""A suite: what is asked of which targets, how it is scored, and what a change may cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from santral.evals.datasets.files import ENDINGS
from santral.evals.example import Plain
from santral.evals.verdict.gate import Gate

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to answer: a route as it is, or with another prompt, other settings or extras.

    ``is_recorded`` asks nobody: the answers stand beside the examples.
    """

    name: _Name
    route: str = ""
    prompt: str = ""  # NAME, NAME@LABEL or NAME@1.2.0; empty: the route's own
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    extras: dict[str, Any] = field(default_factory=dict[str, Any])
    is_recorded: bool = field(default=False, name="recorded")


class EvaluatorUse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An evaluator, and what its scores are called in this suite."""

    use: str
    name: str = ""  # empty: as the evaluator calls it
    params: dict[str, Any] = field(default_factory=dict[str, Any])


class Suite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``santral eval run`` runs: every target answers every example ``repeats`` times."""

    name: _Name = ""
    description: str = ""
    dataset: str  # a file beside the suite, or NAME@VERSION
    split: str = ""
    filter: dict[str, Plain] = field(default_factory=dict[str, Plain])  # of metadata
    limit: Annotated[int, Meta(ge=1)] | None = None
    targets: Annotated[list[Target], Meta(min_length=1, max_length=64)]
    evaluators: Annotated[list[EvaluatorUse], Meta(min_length=1, max_length=128)]
    repeats: Annotated[int, Meta(ge=1, le=100)] = 1
    seed: int | None = None  # sent with every request, a different one for each repeat
    concurrency: Annotated[int, Meta(ge=1, le=256)] = 8
    requests_per_minute: Annotated[float, Meta(gt=0)] | None = None
    max_cost_usd: Annotated[float, Meta(gt=0)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 120.0
    cache: bool = True  # take answers that were paid for once
    gate: Gate = Gate()


class SuiteFile(Struct, frozen=True, kw_only=True):
    """A suite as it was read, and where: data sets and code are named from its folder."""

    suite: Suite
    path: Path
    digest: str  # sha256 of the file

    @property
    def dataset_path(self) -> Path | None:
        """The file of the data set; None where Santral keeps it under a name."""
        if not self.suite.dataset.endswith(tuple(ENDINGS)):
            return None
        return self.path.parent / self.suite.dataset

"""A run: every question of a set is asked, and what is found is held against where the answers stand."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct

from santral.retrieval.access import Scope, as_administrator, as_member
from santral.retrieval.analysis.language import fold
from santral.retrieval.evaluation import measure
from santral.retrieval.evaluation.estimate import Estimate, estimate
from santral.retrieval.evaluation.questions import Answer, Case, QuestionSet
from santral.retrieval.index.entry import IndexedDocument
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import Ranked, SearchResult
from santral.wire.delta import Source
from santral.wire.usage import estimate_tokens

#: Places of a ranking that are looked at: nDCG and reciprocal rank at 10, as the field reports them.
CUT = 10
RECALL_CUTS = (1, 5, 10)

#: What a question without an answer tells: whether the search said so.
REFUSED = "left_unanswered"

_SPACE = re.compile(r"\W+")


class Explains(Protocol):
    """What is asked: the retriever."""

    async def explain(
        self, scope: Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        """Search, with everything that was found on the way."""
        ...


class Asked(Struct, frozen=True, kw_only=True):
    """One question of a run: its values by measure, and what it took."""

    case: Case
    values: Mapping[str, float]
    latency_ms: float
    cpu_ms: float
    tokens: int
    support: float
    missed: tuple[Answer, ...] = ()  # answers that no passage given holds


class Run(Struct, frozen=True, kw_only=True):
    """What a set measured of one setting."""

    questions: str
    options: SearchOptions
    asked: tuple[Asked, ...]

    def values(self, name: str) -> list[float]:
        """Return a measure of every question that has it, in the order of the set."""
        return [one.values[name] for one in self.asked if name in one.values]

    def mean(self, name: str) -> float:
        """Return the mean of a measure over the questions that have it."""
        values = self.values(name)
        return sum(values) / len(values) if values else 0.0

    def estimates(self) -> dict[str, Estimate]:
        """Return every measure with its interval."""
        names = dict.fromkeys(name for one in self.asked for name in one.values)
        return {name: estimate(self.values(name)) for name in names}

    def latency_ms(self) -> dict[str, float]:
        """Return the 50th, 95th and 99th percentile of the searches' time, and their mean CPU time."""
        spent = [one.latency_ms for one in self.asked] or [0.0]
        at = np.percentile(spent, (50, 95, 99))
        cpu = float(np.mean([one.cpu_ms for one in self.asked])) if self.asked else 0.0
        return {"p50": float(at[0]), "p95": float(at[1]), "p99": float(at[2]), "cpu": cpu}

    @property
    def tokens(self) -> float:
        """The tokens of the passages given to a model, a question on average."""
        return float(np.mean([one.tokens for one in self.asked])) if self.asked else 0.0


OnProgress: TypeAlias = Callable[[int, int], None]


async def run_questions(
    retriever: Explains,
    tenant_id: str,
    collection: str,
    questions: QuestionSet,
    options: SearchOptions,
    *,
    on_progress: OnProgress = lambda done, total: None,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> Run:
    """Ask every question, one after the other: side by side they would measure each other's waiting.

    Raises:
        NotFound: no such collection.
        StoreError: a server of indexes does not answer.
    """
    asked: list[Asked] = []
    for number, case in enumerate(questions.cases):
        on_progress(number, len(questions.cases))
        scope = scope_of(tenant_id, collection, case)
        began, cpu = clock(), cpu_clock()
        result = await retriever.explain(scope, case.asked(), options)
        took = ((clock() - began) * 1e3, (cpu_clock() - cpu) * 1e3)
        asked.append(_judged(case, result, *took))
    on_progress(len(questions.cases), len(questions.cases))
    return Run(questions=questions.name, options=options, asked=tuple(asked))


def scope_of(tenant_id: str, collection: str, case: Case) -> Scope:
    """Return what whoever asks a question may see."""
    if case.groups is None:
        return as_administrator(tenant_id, collection)
    return as_member(tenant_id, collection, case.groups)


def _judged(case: Case, result: SearchResult, latency_ms: float, cpu_ms: float) -> Asked:
    tokens = sum(estimate_tokens(source.text) for source in result.sources)
    if not case.relevant:
        values = {REFUSED: float(result.is_weak or not result.sources)}
        missed: tuple[Answer, ...] = ()
    else:
        values = ranking_values(case.relevant, result.ranked)
        missed = tuple(one for one in case.relevant if not _is_given(one, result.sources))
        hits = [any(_answers(one, source) for one in case.relevant) for source in result.sources]
        values["context_precision"] = measure.context_precision(hits)
        values["context_recall"] = 1 - len(missed) / len(case.relevant)
    return Asked(
        case=case,
        values=values,
        latency_ms=latency_ms,
        cpu_ms=cpu_ms,
        tokens=tokens,
        support=result.support,
        missed=missed,
    )


def ranking_values(relevant: Sequence[Answer], ranked: Sequence[Ranked]) -> dict[str, float]:
    """Return the measures of a ranking of chunks; see ``found_at`` for what is ranked."""
    found = [answers for _, answers in found_at(relevant, ranked)]
    counts = [len(answers) for answers in found]
    gains = [max((answer.gain for answer in answers), default=0.0) for answers in found]
    ideal = [answer.gain for answer in relevant]
    values = {f"recall@{cut}": measure.recall(counts, len(relevant), cut) for cut in RECALL_CUTS}
    values[f"precision@{RECALL_CUTS[1]}"] = measure.precision(gains, RECALL_CUTS[1])
    values[f"mrr@{CUT}"] = measure.reciprocal_rank(gains, CUT)
    values[f"ndcg@{CUT}"] = measure.ndcg(gains, ideal, CUT)
    values["map"] = measure.average_precision(gains, len(relevant))
    return values


def found_at(
    relevant: Sequence[Answer], ranked: Sequence[Ranked]
) -> list[tuple[int, list[Answer]]]:
    """Return (place, the answers it holds) of what is ranked: an answer once, at its first place.

    Without quotations documents are ranked, each by its best chunk: its other chunks are left out.
    """
    is_quoted = any(answer.quote for answer in relevant)
    left = list(relevant)
    seen: set[str] = set()
    found: list[tuple[int, list[Answer]]] = []
    for place, one in enumerate(ranked):
        document = one.candidate.document
        if not is_quoted and document.id in seen:
            continue
        seen.add(document.id)
        text = one.candidate.chunk.text
        here = [answer for answer in left if is_of(answer, document) and holds(answer, text)]
        found.append((place, here))
        left = [answer for answer in left if answer not in here]
    return found


def is_of(answer: Answer, document: IndexedDocument) -> bool:
    """Whether an answer stands in a document: named by id, by source or by the end of its source."""
    wanted = answer.document
    return wanted in (document.id, document.source) or document.source.endswith(f"/{wanted}")


def holds(answer: Answer, text: str) -> bool:
    """Whether a text holds the quotation, however it is spaced, cased or punctuated."""
    return not answer.quote or _plain(answer.quote) in _plain(text)


def _answers(answer: Answer, source: Source) -> bool:
    named = answer.document in (source.document_id, source.document)
    is_named = named or source.document.endswith(f"/{answer.document}")
    return is_named and holds(answer, source.text)


def _is_given(answer: Answer, sources: Sequence[Source]) -> bool:
    return any(_answers(answer, source) for source in sources)


def _plain(text: str) -> str:
    return f" {_SPACE.sub(' ', fold(text)).strip()} "

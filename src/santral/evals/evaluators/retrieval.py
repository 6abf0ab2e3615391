"""How good the passages are that an answer was given: the measures of trec_eval, of documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Literal, TypeAlias

from msgspec import Struct

from santral.evals.answer import Passage
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.example import Example
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools
from santral.retrieval.evaluation import measure

Named: TypeAlias = Literal["recall", "precision", "mrr", "ndcg", "map"]


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``k``: places that recall, precision and nDCG look at. ``order``: ``score`` ranks as trec_eval
    does, by score, equal ones by name descending; ``given`` takes the order in which the model got them.
    Where the target tells no scores, the order given is all there is."""

    measures: tuple[Named, ...] = ("recall", "precision", "mrr", "ndcg", "map")
    k: int = 10
    order: Literal["score", "given"] = "score"


class Retrieval:
    """Recall, precision and nDCG of the first k documents, reciprocal rank and average precision.

    A document counts once, at its best passage, and is meant by its id or its name.
    """

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`relevant`, and `grades` where relevance is not 1"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        if params.k < 1:
            raise ValueError("k is 1 or more")
        self._params = params
        self._names: dict[Named, str] = {
            one: f"{name}_{_suffix(one, params.k)}" for one in params.measures
        }
        self.measures = tuple(Measure(name=one) for one in self._names.values())
        self.version = versioned("retrieval", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        grades = grades_of(case.example)
        if not grades:
            names = list(self._names.values())
            return not_applicable(names, "the example names no relevant document")
        if case.answer.hides_passages:
            names = list(self._names.values())
            return not_applicable(names, "a server elsewhere does not tell what it found")
        gains = gains_of(ranked(case.answer.passages, grades, self._params.order), grades)
        return [
            Score(name=name, value=_MEASURES[one](gains, list(grades.values()), self._params.k))
            for one, name in self._names.items()
        ]


def grades_of(example: Example) -> dict[str, int]:
    """Return the relevance of every relevant document; those graded 0 or less are not relevant."""
    grades = dict.fromkeys(example.relevant, 1) | example.grades
    return {name: grade for name, grade in grades.items() if grade > 0}


def ranked(passages: Sequence[Passage], known: Mapping[str, int], order: str) -> list[str]:
    """Return the documents of passages, each once, best first, by the name that ``known`` uses."""
    listed = list(passages)
    if order == "score" and any(one.score for one in listed):
        listed.sort(key=lambda one: _name(one, known), reverse=True)
        listed.sort(
            key=lambda one: one.score, reverse=True
        )  # stable: equal ones by name descending
    return list(dict.fromkeys(_name(one, known) for one in listed))


def gains_of(ranking: Sequence[str], grades: Mapping[str, int]) -> list[float]:
    """Return the relevance of each place."""
    return [float(grades.get(name, 0)) for name in ranking]


def _name(passage: Passage, known: Mapping[str, int]) -> str:
    return passage.document_id if passage.document_id in known else passage.document


def _suffix(name: Named, k: int) -> str:
    return name if name in ("mrr", "map") else f"{name}_{k}"


def _recall(gains: Sequence[float], grades: Sequence[int], k: int) -> float:
    return measure.recall([int(gain > 0) for gain in gains], len(grades), k)


def _precision(gains: Sequence[float], grades: Sequence[int], k: int) -> float:
    del grades
    return measure.precision(gains, k)


def _reciprocal_rank(gains: Sequence[float], grades: Sequence[int], k: int) -> float:
    del grades, k
    return measure.reciprocal_rank(gains, len(gains))


def _ndcg(gains: Sequence[float], grades: Sequence[int], k: int) -> float:
    return measure.ndcg(gains, [float(grade) for grade in grades], k)


def _average_precision(gains: Sequence[float], grades: Sequence[int], k: int) -> float:
    del k
    return measure.average_precision(gains, len(grades))


_MEASURES: Final[Mapping[Named, Callable[[Sequence[float], Sequence[int], int], float]]] = {
    "recall": _recall,
    "precision": _precision,
    "mrr": _reciprocal_rank,
    "ndcg": _ndcg,
    "map": _average_precision,
}

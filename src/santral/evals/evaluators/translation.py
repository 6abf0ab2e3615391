"""BLEU and chrF, by sacrebleu: equal to what others publish, with the signature that says how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools
from santral.retrieval.extra import needed


class BleuParams(Struct, frozen=True, forbid_unknown_fields=True):
    """``tokenize`` and ``smooth`` as sacrebleu names them."""

    tokenize: Literal["13a", "intl", "char", "none", "zh"] = "13a"
    smooth: Literal["exp", "floor", "add-k", "none"] = "exp"
    lowercase: bool = False


class ChrfParams(Struct, frozen=True, forbid_unknown_fields=True):
    """``word_order``: 0 is chrF, 2 is chrF++."""

    char_order: int = 6
    word_order: int = 0
    beta: int = 2
    lowercase: bool = False


class _Translation:
    """What both share: the value of a sentence, and that of a corpus."""

    needs: ClassVar[str] = "`expected` or `references`"

    def __init__(self, kind: str, name: str, params: Struct, metric: Any, corpus: Any) -> None:
        self._name = name
        self._metric = metric
        self._corpus = corpus
        self.measures = (Measure(name=name, high=100.0),)
        self.signature = _signature(metric)
        self.version = versioned(kind, 1, params, signature=self.signature)

    async def __call__(self, case: Case) -> Sequence[Score]:
        good = case.example.good_answers
        if not good:
            return not_applicable([self._name], "the example names no good answer")
        value = float(self._metric.sentence_score(case.answer.text, good).score)
        return [Score(name=self._name, value=value)]

    def corpus(self, cases: Sequence[Case]) -> Mapping[str, float]:
        """Return the value of all answers together: not the mean of their own."""
        usable = [one for one in cases if one.example.good_answers and not one.answer.error]
        if not usable:
            return {}
        most = max(len(one.example.good_answers) for one in usable)
        streams = [
            [dict(enumerate(one.example.good_answers)).get(number) for one in usable]
            for number in range(most)
        ]
        said = [one.answer.text for one in usable]
        return {f"{self._name}_corpus": float(self._corpus.corpus_score(said, streams).score)}


class Bleu(_Translation):
    """Runs of up to four words that an answer shares with a good one (sacrebleu, 0 to 100).

    Of a sentence with effective order; that of the corpus is not the mean of them.
    """

    Params: ClassVar[type[Struct]] = BleuParams

    def __init__(self, name: str, params: BleuParams, tools: Tools) -> None:
        del tools
        made: Any = _metrics().BLEU
        also: dict[str, Any] = {
            "tokenize": params.tokenize,
            "smooth_method": params.smooth,
            "lowercase": params.lowercase,
        }
        super().__init__("bleu", name, params, made(effective_order=True, **also), made(**also))


class Chrf(_Translation):
    """Runs of up to six letters that an answer shares with a good one (sacrebleu, 0 to 100).

    Fairer than BLEU to a language with many suffixes, as Turkish is.
    """

    Params: ClassVar[type[Struct]] = ChrfParams

    def __init__(self, name: str, params: ChrfParams, tools: Tools) -> None:
        del tools
        metric = _metrics().CHRF(
            char_order=params.char_order,
            word_order=params.word_order,
            beta=params.beta,
            lowercase=params.lowercase,
        )
        super().__init__("chrf", name, params, metric, metric)


def _metrics() -> Any:
    return needed("sacrebleu.metrics", "for BLEU and chrF", extra="evals")


def _signature(metric: Any) -> str:
    """Return what sacrebleu calls this way of counting, without the number of references."""
    metric.sentence_score("a", ["a"])  # it knows its signature once it has counted something
    return "|".join(
        part for part in str(metric.get_signature()).split("|") if not part.startswith("nrefs")
    )

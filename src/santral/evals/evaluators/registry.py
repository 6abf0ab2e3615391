"""Every evaluator by the name that suites give it, and how one is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from santral.errors import BadRequest, nearest
from santral.evals.evaluator import Evaluator
from santral.evals.evaluators.contains import Contains, NotContains
from santral.evals.evaluators.embedding import EmbeddingSimilarity
from santral.evals.evaluators.exact import Exact
from santral.evals.evaluators.groundedness import Groundedness
from santral.evals.evaluators.json_schema import JsonSchema
from santral.evals.evaluators.numeric import Numeric
from santral.evals.evaluators.pii_leak import PiiLeak
from santral.evals.evaluators.python import Python
from santral.evals.evaluators.refusal import Refusal
from santral.evals.evaluators.regex import Regex
from santral.evals.evaluators.retrieval import Retrieval
from santral.evals.evaluators.rouge import Rouge
from santral.evals.evaluators.spent import Cost, Latency, Tokens, Ttft
from santral.evals.evaluators.token_f1 import TokenF1
from santral.evals.evaluators.tool_calls import ToolCalls
from santral.evals.evaluators.trajectory import Trajectory
from santral.evals.evaluators.translation import Bleu, Chrf
from santral.evals.judges.contexts import ContextPrecision, ContextRecall
from santral.evals.judges.custom import CustomJudge
from santral.evals.judges.faithfulness import Faithfulness
from santral.evals.judges.g_eval import GEval
from santral.evals.judges.pairwise import Pairwise
from santral.evals.judges.ready import Toxicity, TrajectoryJudge
from santral.evals.judges.relevance import AnswerRelevance
from santral.evals.judges.rubric import Rubric
from santral.evals.kind import Kind, Prepares
from santral.evals.tools import Tools

EVALUATORS: Final[Mapping[str, type[Kind]]] = {
    "exact": Exact,
    "contains": Contains,
    "not_contains": NotContains,
    "regex": Regex,
    "json_schema": JsonSchema,
    "numeric": Numeric,
    "token_f1": TokenF1,
    "bleu": Bleu,
    "chrf": Chrf,
    "rouge": Rouge,
    "embedding_similarity": EmbeddingSimilarity,
    "retrieval": Retrieval,
    "groundedness": Groundedness,
    "tool_calls": ToolCalls,
    "trajectory": Trajectory,
    "latency": Latency,
    "ttft": Ttft,
    "cost": Cost,
    "tokens": Tokens,
    "refusal": Refusal,
    "pii_leak": PiiLeak,
    "python": Python,
    "rubric": Rubric,
    "g_eval": GEval,
    "pairwise": Pairwise,
    "judge": CustomJudge,
    "faithfulness": Faithfulness,
    "answer_relevance": AnswerRelevance,
    "context_precision": ContextPrecision,
    "context_recall": ContextRecall,
    "toxicity": Toxicity,
    "trajectory_judge": TrajectoryJudge,
}


async def build(
    use: str,
    name: str,
    params: Mapping[str, Any],
    tools: Tools,
    known: Mapping[str, type[Kind]] = EVALUATORS,
) -> Evaluator:
    """Return an evaluator, ready to score; ``known`` holds those of third parties as well.

    ``name`` is that of its measure, or what the names of its measures begin with.

    Raises:
        BadRequest: no such evaluator or parameter, or one that cannot be; names it and the nearest.
        SantralError: what it needs to open (a model of vectors) cannot be opened.
    """
    kind = known.get(use)
    if kind is None:
        hint = nearest(use, known) or f" Known: {', '.join(known)}."
        raise _refused(name, f"there is no evaluator '{use}'.{hint}", use)
    made = _made(kind, use, name, params, tools)
    if isinstance(made, Prepares):
        await made.prepare()
    return made


def _made(
    kind: type[Kind], use: str, name: str, params: Mapping[str, Any], tools: Tools
) -> Evaluator:
    fields = kind.Params.__struct_fields__
    for given in params:
        if given not in fields:
            hint = nearest(given, fields) or f" Known: {', '.join(fields) or 'none'}."
            raise _refused(name, f"'{use}' has no parameter '{given}'.{hint}", given)
    try:
        return kind(name, msgspec.convert(dict(params), kind.Params), tools)
    except (msgspec.ValidationError, ValueError) as error:
        raise _refused(name, f"'{use}': {error}.", use) from None


def _refused(name: str, reason: str, param: str) -> BadRequest:
    return BadRequest(f"Evaluator '{name}': {reason}", code="invalid_evaluator", param=param)

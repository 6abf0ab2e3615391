"""What a kind of evaluator is, apart from one that was built with parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec
from msgspec import Struct

from santral.evals.evaluator import Case, Evaluator, Score
from santral.evals.tools import Tools

_encode = msgspec.json.Encoder(order="deterministic").encode


class Kind(Evaluator, Protocol):
    """An evaluator that suites may name. Two class attributes are optional: ``reads_failures`` (it
    also scores answers with an error) and ``needs`` (what of an example it reads, for the reference)."""

    Params: ClassVar[type[Struct]]

    def __init__(self, name: str, params: Any, tools: Tools) -> None: ...


@runtime_checkable
class Prepares(Protocol):
    """An evaluator that has to open something before its version is known."""

    async def prepare(self) -> None: ...


@runtime_checkable
class Summarises(Protocol):
    """An evaluator that also knows a value of all answers together (BLEU of a corpus)."""

    def corpus(self, cases: Sequence[Case]) -> Mapping[str, float]:
        """Return values of the whole, by measure; empty where no case can be scored."""
        ...


def corpus_of(evaluators: Sequence[Evaluator], cases: Sequence[Case]) -> dict[str, float]:
    """Return the values of all answers together, of the evaluators that know one."""
    known = [one for one in evaluators if isinstance(one, Summarises)]
    return {name: value for one in known for name, value in one.corpus(cases).items()}


def versioned(kind: str, number: int, params: Struct, **also: str) -> str:
    """Return the version of an evaluator: another one for other code, parameters or tools."""
    given = {"params": msgspec.to_builtins(params), "also": also}
    return f"{kind}/{number}:{hashlib.sha256(_encode(given)).hexdigest()[:12]}"


def not_applicable(names: Sequence[str], reason: str) -> list[Score]:
    """Return scores that say what the example or the answer lacks."""
    return [Score(name=name, error="not_applicable", reason=reason) for name in names]

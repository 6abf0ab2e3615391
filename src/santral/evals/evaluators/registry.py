"""Every evaluator by the name that suites give it, and how one is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from santral.errors import BadRequest, nearest
from santral.evals.evaluator import Evaluator
from santral.evals.evaluators.exact import Exact
from santral.evals.evaluators.kind import Kind, Prepares
from santral.evals.tools import Tools

EVALUATORS: Final[Mapping[str, type[Kind]]] = {
    "exact": Exact,
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

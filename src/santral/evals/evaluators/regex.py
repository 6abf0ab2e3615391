"""Whether an answer matches a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import re2  # pyright: ignore[reportMissingTypeStubs]
from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.kind import versioned
from santral.evals.tools import Tools

_re2: Final[Any] = re2  # ships no types


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``pattern``: RE2, which takes time linear in the answer (no look-around, no back-references).
    ``whole``: it has to match the whole answer, not some part. ``absent``: it must not match."""

    pattern: str
    ignore_case: bool = False
    whole: bool = False
    absent: bool = False


class Regex:
    """1 where the answer matches a pattern (RE2)."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "nothing"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._name = name
        self._is_absent = params.absent
        pattern = _compiled(params)
        self._match = pattern.fullmatch if params.whole else pattern.search
        self.measures = (Measure(name=name, is_binary=True),)
        self.version = versioned("regex", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        found = self._match(case.answer.text) is not None
        return [Score(name=self._name, value=float(found != self._is_absent))]


def _compiled(params: Params) -> Any:
    options = _re2.Options()
    options.log_errors = False
    options.case_sensitive = not params.ignore_case
    try:
        return _re2.compile(params.pattern, options)
    except _re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise ValueError(f"pattern: RE2 does not take it: {why}") from None

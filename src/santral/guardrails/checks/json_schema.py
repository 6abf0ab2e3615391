"""Whether an answer is JSON that matches its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from msgspec import Struct

from santral.guardrails.check import Inspection
from santral.guardrails.verdict import NOTHING_FOUND, Action, Finding


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``json_schema``: whether an answer without a schema must be JSON all the same."""

    require_json: bool = False


class JsonSchema:
    """Holds the answer against the schema of the route or the request."""

    Params: ClassVar[type[Struct]] = Params
    places: ClassVar[frozenset[str]] = frozenset({"output"})
    actions: ClassVar[tuple[Action, ...]] = ("retry", "refuse", "report")
    only_patterns = False
    patterns: Mapping[str, str] = {}
    reads_whole = True

    def __init__(self, params: Params) -> None:
        self._params = params

    async def __call__(self, looked: Inspection) -> Finding:
        schema = looked.context.schema
        if schema is None and not self._params.require_json:
            return NOTHING_FOUND
        for text in looked.texts:
            try:
                value: object = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
                return Finding(1, f"the answer is not JSON: {error}")
            violations = schema.violations(value) if schema else []
            if violations:
                return Finding(len(violations), "; ".join(violations))
        return NOTHING_FOUND

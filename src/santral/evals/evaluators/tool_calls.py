"""Whether the model called the tools it should, with the arguments it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, cast

import msgspec
from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.example import Example, ToolCall
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools
from santral.guardrails.schema import CompiledSchema, compile_schema

Compare: TypeAlias = Literal["exact", "subset", "schema", "ignore"]


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``arguments``: they have to be equal (``exact``), to hold those expected (``subset``), to fit the
    tool's own schema (``schema``), or are not looked at. ``in_order``: calls come in the order
    expected. ``allow_extra``: further calls do no harm. ``expect_none``: an example that expects no tool
    wants none called; otherwise such an example has no score."""

    arguments: Compare = "exact"
    in_order: bool = False
    allow_extra: bool = False
    expect_none: bool = False


class ToolCalls:
    """1 where every expected call was made and no other; and the F1 of the calls that fit."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected_tools`, and `tools` for `schema`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._names = (name, f"{name}_f1")
        self._params = params
        self.measures = (Measure(name=name, is_binary=True), Measure(name=f"{name}_f1"))
        self.version = versioned("tool_calls", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        expected, made = case.example.expected_tools, case.answer.tool_calls
        if not expected and not self._params.expect_none:
            return not_applicable(self._names, "the example expects no tool")
        fits = Fits(self._params.arguments, case.example)
        pairs = paired(expected, made, fits, in_order=self._params.in_order)
        is_right = len(pairs) == len(expected) and (
            self._params.allow_extra or len(made) == len(expected)
        )
        total = len(expected) + len(made)
        f1 = 2 * len(pairs) / total if total else 1.0
        reason = "" if is_right else _difference(expected, made, pairs)
        return [
            Score(name=self._names[0], value=float(is_right), reason=reason),
            Score(name=self._names[1], value=f1),
        ]


class Fits:
    """Tells whether a call that was made is the one expected."""

    def __init__(self, compare: Compare, example: Example) -> None:
        self._compare = compare
        self._schemas = _schemas(example) if compare == "schema" else {}

    def __call__(self, expected: ToolCall, made: ToolCall) -> bool:
        if expected.name != made.name:
            return False
        if self._compare == "exact":
            return is_equal(expected.arguments, made.arguments)
        if self._compare == "subset":
            return is_within(expected.arguments, made.arguments)
        schema = self._schemas.get(made.name)
        return schema is None or not schema.violations(made.arguments)


def paired(
    expected: Sequence[ToolCall], made: Sequence[ToolCall], fits: Fits, *, in_order: bool
) -> list[tuple[int, int]]:
    """Return the most pairs of an expected call and one that was made, by their places.

    In order: the longest common subsequence; in any: augmenting paths, so that a call that fits two
    expected ones takes nothing from the other.
    """
    if in_order:
        return _in_order(expected, made, fits)
    taken: dict[int, int] = {}  # a made call to the expected one
    for place in range(len(expected)):
        _augment(place, expected, made, fits, taken, set())
    return sorted((place, call) for call, place in taken.items())


def is_equal(a: object, b: object) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and true is no number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        one, other = cast(dict[str, object], a), cast(dict[str, object], b)
        return one.keys() == other.keys() and all(is_equal(one[key], other[key]) for key in one)
    if isinstance(a, list) and isinstance(b, list):
        left, right = cast(list[object], a), cast(list[object], b)
        return len(left) == len(right) and all(map(is_equal, left, right))
    return a == b


def is_within(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether ``given`` holds every field of ``wanted``, objects inside of it likewise."""
    for key in wanted:
        if key not in given:
            return False
        value: object = wanted[key]
        other: object = given[key]
        if isinstance(value, dict) and isinstance(other, dict):
            if not is_within(cast(dict[str, Any], value), cast(dict[str, Any], other)):
                return False
        elif not is_equal(cast(object, value), other):
            return False
    return True


def _augment(
    place: int,
    expected: Sequence[ToolCall],
    made: Sequence[ToolCall],
    fits: Fits,
    taken: dict[int, int],
    seen: set[int],
) -> bool:
    """Find a call for one that is expected, moving others where needed (Kuhn's algorithm)."""
    for number, call in enumerate(made):
        if number in seen or not fits(expected[place], call):
            continue
        seen.add(number)
        holder = taken.get(number)
        if holder is None or _augment(holder, expected, made, fits, taken, seen):
            taken[number] = place
            return True
    return False


def _in_order(
    expected: Sequence[ToolCall], made: Sequence[ToolCall], fits: Fits
) -> list[tuple[int, int]]:
    best: list[list[tuple[int, int]]] = [[] for _ in range(len(made) + 1)]
    for place, wanted in enumerate(expected):
        row: list[list[tuple[int, int]]] = [[]]
        for number, call in enumerate(made):
            found = [*best[number], (place, number)] if fits(wanted, call) else []
            row.append(max(found, best[number + 1], row[number], key=len))
        best = row
    return best[-1]


def _difference(
    expected: Sequence[ToolCall], made: Sequence[ToolCall], pairs: Sequence[tuple[int, int]]
) -> str:
    met, used = {a for a, _ in pairs}, {b for _, b in pairs}
    missing = [_shown(call) for place, call in enumerate(expected) if place not in met]
    extra = [_shown(call) for place, call in enumerate(made) if place not in used]
    parts = [("missing", missing), ("not expected", extra)]
    return "; ".join(f"{what}: {', '.join(calls)}" for what, calls in parts if calls)


def _shown(call: ToolCall) -> str:
    return f"{call.name}({msgspec.json.encode(call.arguments).decode()[:80]})"


def _schemas(example: Example) -> dict[str, CompiledSchema]:
    """Return the schemas of the arguments of the tools offered; one that is no schema is a fault."""
    found: dict[str, CompiledSchema] = {}
    for tool in example.tools:
        function: dict[str, Any] = tool.get("function", tool)
        schema = function.get("parameters")
        if isinstance(schema, dict):
            try:
                found[str(function.get("name"))] = compile_schema(msgspec.json.encode(schema))
            except BadRequest as error:
                raise ValueError(f"tool {function.get('name')}: {error.message}") from None
    return found

"""Whether an answer is JSON of a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.kind import versioned
from santral.evals.tools import Tools
from santral.guardrails.schema import CompiledSchema, compile_schema


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``schema``: draft 2020-12 unless it names another; empty: any JSON. ``file``: one beside the
    suite, in its place. ``strip_fence``: take a ```json fence off first."""

    schema: dict[str, Any] = {}
    file: str = ""
    strip_fence: bool = False


class JsonSchema:
    """1 where the answer is JSON that the schema allows; says what is wrong where it is not."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "nothing"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        self._name = name
        self._strip_fence = params.strip_fence
        self._schema = _compiled(params, tools)
        self.measures = (Measure(name=name, is_binary=True),)
        self.version = versioned("json_schema", 1, params, schema=self._schema.digest)

    async def __call__(self, case: Case) -> Sequence[Score]:
        text = unfenced(case.answer.text) if self._strip_fence else case.answer.text
        try:
            value: object = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            return [Score(name=self._name, value=0, reason=f"no JSON: {error}")]
        wrong = self._schema.violations(value)
        return [Score(name=self._name, value=float(not wrong), reason="; ".join(wrong))]


def unfenced(text: str) -> str:
    """Return what stands in the one fence that a text consists of, or the text."""
    lines = text.strip().splitlines()
    is_fence = len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```"
    return "\n".join(lines[1:-1]) if is_fence else text


def _compiled(params: Params, tools: Tools) -> CompiledSchema:
    raw = msgspec.json.encode(params.schema)
    if params.file:
        if params.schema:
            raise ValueError("name a schema or a file, not both")
        try:
            raw = (tools.folder / params.file).read_bytes()
        except OSError as error:
            raise ValueError(f"file: {error.filename}: {error.strerror}") from None
    try:
        return compile_schema(raw)
    except BadRequest as error:
        raise ValueError(f"schema: {error.message}") from None

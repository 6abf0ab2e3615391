"""Checks on what the caller says: masks, refuses or reports, as the route's policy decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from santral.errors import GuardrailRefused
from santral.gateway.context import RequestContext
from santral.gateway.stages.verdicts import note
from santral.gateway.texts import put_back, texts_of
from santral.guardrails.policy import inspect
from santral.guardrails.verdict import Verdict


class InputGuard:
    """Runs the policy's input checks over messages and prompt variables."""

    async def __call__(self, ctx: RequestContext) -> None:
        checks = ctx.route.policy.input
        if not checks:
            _pass(ctx)
            return
        start = ctx.elapsed_us()
        places, texts = texts_of(ctx.call)
        variables = ctx.call.extras.prompt.variables if ctx.call.extras.prompt else {}
        outcome = await inspect(
            checks,
            [*texts, *_variable_texts(variables)] if variables else texts,
            "input",
            placeholders=ctx.placeholders,
        )
        note(ctx, outcome.verdicts, "input")
        refusal = outcome.refusal
        ctx.add_span("input_guard", start, error="guardrail_refused" if refusal else "")
        if refusal is not None:
            raise refused(refusal)
        if outcome.is_changed:
            put_back(ctx.call, places, texts, outcome.texts[: len(texts)])
            _put_variables(variables, iter(outcome.texts[len(texts) :]))
        _pass(ctx)


def _pass(ctx: RequestContext) -> None:
    ctx.is_guarded = True
    ctx.said = list(ctx.call.messages)


def _variable_texts(variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of prompt variables: strings, and those inside lists of them."""
    for value in variables.values():
        for item in _items(value):
            if isinstance(item, str):
                yield item


def _put_variables(variables: dict[str, Any], texts: Iterator[str]) -> None:
    """Write the texts back in the order ``_variable_texts`` gave them."""
    for name, value in variables.items():
        changed = [next(texts) if isinstance(item, str) else item for item in _items(value)]
        variables[name] = changed if isinstance(value, list) else changed[0]


def _items(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def refused(verdict: Verdict) -> GuardrailRefused:
    """Return the error that tells the caller which check refused and why, not what it matched."""
    return GuardrailRefused(
        f"The check '{verdict.check}' refused this request: {verdict.reason}.",
        check=verdict.check,
        reason=verdict.reason,
    )

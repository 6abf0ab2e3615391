"""Checks on what the caller says: masks, refuses or reports, as the route's policy decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
            ctx.is_guarded = True
            return
        start = ctx.elapsed_us()
        places, texts = texts_of(ctx.call)
        variables = ctx.call.extras.prompt.variables if ctx.call.extras.prompt else {}
        named = [name for name, value in variables.items() if isinstance(value, str)]
        outcome = await inspect(
            checks,
            [*texts, *(variables[name] for name in named)],
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
            _put_variables(variables, named, outcome.texts[len(texts) :])
        ctx.is_guarded = True


def _put_variables(variables: Mapping[str, Any], named: list[str], values: tuple[str, ...]) -> None:
    if isinstance(variables, dict):
        variables.update(zip(named, values, strict=True))


def refused(verdict: Verdict) -> GuardrailRefused:
    """Return the error that tells the caller which check refused and why, not what it matched."""
    return GuardrailRefused(
        f"The check '{verdict.check}' refused this request: {verdict.reason}.",
        check=verdict.check,
        reason=verdict.reason,
    )

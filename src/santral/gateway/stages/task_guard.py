"""Checks on the texts of a task: the same checks, actions and verdicts as for a conversation."""

from __future__ import annotations

from santral.errors import BadRequest
from santral.gateway.context import RequestContext
from santral.gateway.stages.input_guard import refused
from santral.gateway.stages.verdicts import note
from santral.guardrails.policy import inspect
from santral.wire.task import TaskRequest


class TaskGuard:
    """Runs the policy's input checks over inputs, queries and documents."""

    async def __call__(self, ctx: RequestContext, task: TaskRequest) -> None:
        checks = ctx.route.policy.input
        if checks:
            start = ctx.elapsed_us()
            _refuse_unreadable(task)
            texts = task.texts
            outcome = await inspect(checks, texts, "input", placeholders=ctx.placeholders)
            note(ctx, outcome.verdicts, "input")
            refusal = outcome.refusal
            ctx.add_span("input_guard", start, error="guardrail_refused" if refusal else "")
            if refusal is not None:
                raise refused(refusal)
            if outcome.is_changed:
                task.put_back(outcome.texts)
        ctx.is_guarded = True


def _refuse_unreadable(task: TaskRequest) -> None:
    """Refuse token ids where a policy wants to read: nobody here knows their tokenizer."""
    if task.name == "embed" and not task.paths:
        raise BadRequest(
            "This route checks what it embeds, and token ids cannot be read. Send texts.",
            code="tokens_not_readable",
            param="input",
        )

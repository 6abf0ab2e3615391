"""Checks on the texts of a task: the same checks, actions and verdicts as for a conversation."""

from __future__ import annotations

from santral.errors import BadRequest
from santral.gateway.context import RequestContext
from santral.gateway.stages.input_guard import refused
from santral.gateway.stages.verdicts import note
from santral.guardrails.policy import inspect
from santral.wire.rerank import RerankView
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
        if ctx.route.entity_checks and isinstance(task.view, RerankView):
            await self._on_the_way_out(ctx, task, task.view)

    async def _on_the_way_out(
        self, ctx: RequestContext, task: TaskRequest, view: RerankView
    ) -> None:
        """Hold documents that come back to what the policy lets out; refused before anything is paid."""
        if not view.return_documents:
            return
        outcome = await inspect(
            ctx.route.entity_checks, task.texts, "output", placeholders=ctx.placeholders
        )
        note(ctx, outcome.verdicts, "output")
        # Nobody can release a ranking later: what a reviewer would have to see does not leave.
        held = next((v for v in outcome.verdicts if v.action == "hold"), None)
        refusal = outcome.refusal or held
        if refusal is not None:
            raise refused(refusal)
        if outcome.is_changed:
            task.show(outcome.texts)


def _refuse_unreadable(task: TaskRequest) -> None:
    """Refuse token ids where a policy wants to read: nobody here knows their tokenizer."""
    if task.name == "embed" and not task.paths:
        raise BadRequest(
            "This route checks what it embeds, and token ids cannot be read. Send texts.",
            code="tokens_not_readable",
            param="input",
        )

"""Prompt version, or the experiment's variant of it, to messages in front of the caller's."""

from __future__ import annotations

from santral.errors import BadRequest
from santral.experiments.assign import assign
from santral.experiments.experiment import Experiment
from santral.gateway.context import RequestContext
from santral.prompts.compose import compose
from santral.prompts.version import PromptVersion


class Compose:
    """Puts the route's prompt, or the one the request names, before the messages."""

    async def __call__(self, ctx: RequestContext) -> None:
        version = self._version(ctx)
        extra = ctx.call.extras.prompt
        if version is None:
            if not ctx.call.messages:
                raise BadRequest("'messages' must hold at least one message.", param="messages")
            return
        start = ctx.elapsed_us()
        messages = compose(version, extra.variables if extra else {})
        ctx.call.messages[:0] = messages
        ctx.prompt, ctx.prompt_version = version.name, version.version
        ctx.prompt_settings, ctx.prompt_schema = version.settings, version.output_schema
        ctx.add_span(
            "compose",
            start,
            attributes={
                "gen_ai.prompt.name": version.name,
                "santral.prompt.version": version.version,
                "santral.experiment.variant": ctx.variant,
            },
        )

    def _version(self, ctx: RequestContext) -> PromptVersion | None:
        """What the request names wins over the experiment, and that over the route."""
        extra = ctx.call.extras.prompt
        library = ctx.snapshot.prompts
        if extra is not None:
            return library.resolve(extra.name, extra.version, extra.label)
        experiment = ctx.route.experiment
        if experiment is not None:
            assignment = assign(experiment, _unit(ctx, experiment))
            ctx.experiment, ctx.variant = experiment.name, assignment.variant.name
            if assignment.variant.prompt is not None:
                return library.find(assignment.variant.prompt)
        return ctx.route.prompt


def _unit(ctx: RequestContext, experiment: Experiment) -> str:
    """What the experiment assigns: user, session, key or request; the key where none is named."""
    extras = ctx.call.extras
    named = {
        "user": extras.user or ctx.call.view.user,
        "session": extras.session,
        "request": ctx.request_id,
    }
    return f"{ctx.caller.tenant.id}/{named.get(experiment.unit) or ctx.caller.key.id}"

"""Prompt version, or the experiment's variant of it, to messages in front of the caller's."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.errors import BadRequest
from santral.experiments.assign import assign
from santral.experiments.experiment import Experiment
from santral.gateway.context import RequestContext
from santral.gateway.stages.trace import user_of
from santral.prompts.compose import compose
from santral.prompts.version import PromptVersion
from santral.traces.record import Attribute

#: Composed prompts without variables that are kept. Chosen: more than anybody has in force.
MAX_CONSTANT = 512

_encode = msgspec.json.Encoder().encode


class Compose:
    """Puts the route's prompt, or the one the request names, before the messages."""

    def __init__(self) -> None:
        self._constant: dict[tuple[str, str], list[Raw]] = {}

    async def __call__(self, ctx: RequestContext) -> None:
        version = self._version(ctx)
        extra = ctx.call.extras.prompt
        if version is None:
            if not ctx.call.messages:
                raise BadRequest("'messages' must hold at least one message.", param="messages")
            return
        start = ctx.elapsed_us()
        ctx.call.messages[:0] = self._messages(version, extra.variables if extra else {})
        ctx.prompt, ctx.prompt_version = version.name, version.version
        ctx.prompt_settings, ctx.prompt_schema = version.settings, version.output_schema
        attributes: dict[str, Attribute] = {
            "gen_ai.prompt.name": version.name,
            "santral.prompt.version": version.version,
        }
        if ctx.variant:
            attributes["santral.experiment.variant"] = ctx.variant
        ctx.add_span("compose", start, attributes=attributes)

    def _messages(
        self, version: PromptVersion, variables: dict[str, Any]
    ) -> list[dict[str, Any]] | list[Raw]:
        """Compose; without variables a version always says the same, and that is kept encoded."""
        if variables:
            return compose(version, variables)
        key = (version.reference, version.content_hash)
        kept = self._constant.get(key)
        if kept is None:
            if len(self._constant) >= MAX_CONSTANT:
                self._constant.clear()
            composed = compose(version, variables)
            kept = self._constant[key] = [Raw(_encode(message)) for message in composed]
        return kept

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
        "user": user_of(ctx),
        "session": extras.session,
        "request": ctx.request_id,
    }
    return f"{ctx.caller.tenant.id}/{named.get(experiment.unit) or ctx.caller.key.id}"

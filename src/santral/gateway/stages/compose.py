"""Prompt version, or the experiment's variant of it, to messages in front of the caller's."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.gateway.context import RequestContext
from santral.prompts.compose import compose
from santral.prompts.registry import Resolved
from santral.prompts.version import PromptTool, PromptVersion
from santral.traces.record import Attribute
from santral.wire.chat import NULL

#: Composed prompts without variables that are kept. Chosen: more than anybody has in force.
MAX_CONSTANT = 512

_encode = msgspec.json.Encoder().encode


class _Function(Struct, frozen=True):
    name: str = ""


class _Tool(Struct, frozen=True):
    """What is looked at of a caller's tool."""

    function: _Function = _Function()


class Compose:
    """Puts the route's prompt, or the one the request names, before the messages."""

    def __init__(self) -> None:
        self._constant: dict[tuple[str, str], list[Raw]] = {}

    async def __call__(self, ctx: RequestContext) -> None:
        found = _resolved(ctx)
        extra = ctx.call.extras.prompt
        if found is None:
            if not ctx.call.messages:
                raise BadRequest("'messages' must hold at least one message.", param="messages")
            return
        start = ctx.elapsed_us()
        version = found.version
        ctx.call.messages[:0] = self._messages(version, extra.variables if extra else {})
        ctx.prompt, ctx.prompt_version = version.name, version.version
        ctx.prompt_settings, ctx.prompt_schema = version.settings, version.output_schema
        if version.tools:
            ctx.call.fields["tools"] = _with_tools(ctx.call.fields.get("tools"), version.tools)
        attributes: dict[str, Attribute] = {
            "gen_ai.prompt.name": version.name,
            "santral.prompt.version": version.version,
            "santral.prompt.hash": version.composed_hash,
        }
        if found.label:
            attributes["santral.prompt.label"] = found.label
        if ctx.variant:
            attributes["santral.experiment.variant"] = ctx.variant
        ctx.add_span("compose", start, attributes=attributes)

    def _messages(
        self, version: PromptVersion, variables: dict[str, Any]
    ) -> list[dict[str, Any]] | list[Raw]:
        """Compose; without variables a version always says the same, and that is kept encoded."""
        if variables:
            return compose(version, variables)
        key = (version.reference, version.composed_hash)
        kept = self._constant.get(key)
        if kept is None:
            if len(self._constant) >= MAX_CONSTANT:
                self._constant.clear()
            composed = compose(version, variables)
            kept = self._constant[key] = [Raw(_encode(message)) for message in composed]
        return kept


def _resolved(ctx: RequestContext) -> Resolved | None:
    """Return what the request names; that wins over the experiment, and it over the route."""
    extra = ctx.call.extras.prompt
    registry, tenant = ctx.snapshot.registry, ctx.caller.tenant.id
    if extra is not None:
        return registry.resolve(tenant, extra.name, extra.version, extra.label)
    reference = ctx.arm_prompt or ctx.route.prompt
    return None if reference is None else registry.find(tenant, reference)


def _with_tools(asked: Raw | None, tools: tuple[PromptTool, ...]) -> Raw:
    """Return the caller's tools and those of the prompt; one of the same name is the caller's."""
    own: list[Raw] = []
    named: set[str] = set()
    if asked is not None and asked != NULL:
        try:
            own = msgspec.json.decode(asked, type=list[Raw])
            named = {t.function.name for t in msgspec.json.decode(asked, type=list[_Tool])}
        except msgspec.ValidationError:
            raise BadRequest("'tools' must be a list of tools.", param="tools") from None
    added = [{"type": "function", "function": tool} for tool in tools if tool.name not in named]
    return Raw(_encode([*own, *added]))

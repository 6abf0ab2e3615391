"""Which checks an answer meets, and the schema it must match."""

from __future__ import annotations

import msgspec

from santral.gateway.context import Emit, RequestContext
from santral.gateway.stages.output_gate import Holds, OutputGate
from santral.guardrails.check import OutputContext
from santral.guardrails.schema import CompiledSchema, compile_schema


class ValidateOutput:
    """Wraps ``emit`` so that nothing leaves which the policy would not let leave.

    ``holder`` keeps what waits for a reviewer.
    """

    def __init__(self, holder: Holds | None = None) -> None:
        self._holder = holder

    def __call__(self, ctx: RequestContext, emit: Emit) -> OutputGate:
        """Return the gate for one answer.

        Raises:
            BadRequest: the request brings a JSON Schema that cannot be used.
        """
        schema = _schema(ctx)
        ctx.output_schema = schema.raw if schema else None
        policy = ctx.route.schema_policy if schema else ctx.route.policy
        context = OutputContext(sources=ctx.sources, schema=schema, question=ctx.question)
        return OutputGate(ctx, emit, policy, context, self._holder)


def _schema(ctx: RequestContext) -> CompiledSchema | None:
    """The request's own schema wins over the prompt's, and that over the route's."""
    own = bytes(ctx.call.extras.output_schema)
    asked = ctx.call.view.response_format
    if own and own != b"null":
        return compile_schema(own)
    if asked is not None and asked.json_schema is not None:
        return compile_schema(bytes(asked.json_schema.schema))
    if ctx.prompt_schema is not None:
        return compile_schema(msgspec.json.encode(ctx.prompt_schema))
    return ctx.route.schema

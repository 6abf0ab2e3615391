"""What a route can be asked for: what the providers of its deployments can do together."""

from __future__ import annotations

import msgspec

from santral.errors import BadRequest
from santral.gateway.context import RequestContext
from santral.gateway.models import usable_routes
from santral.providers.provider import Operation
from santral.providers.tasks.tasked import operations_of
from santral.routing.route import Route, Rules, Weighted

#: What each operation is called towards people.
_WORDS: dict[str, str] = {
    "chat": "answer conversations",
    "embed": "embed",
    "rerank": "rerank",
    "moderate": "moderate",
    "complete": "complete text",
    "count_tokens": "count tokens",
}


def require(ctx: RequestContext, *operations: Operation) -> None:
    """Refuse a request whose route can do none of ``operations``; raises as ``able_route``."""
    if not any(operation in ctx.route.operations for operation in operations):
        message = _explained(ctx, operations[0])
        raise BadRequest(message, code="operation_not_supported", param="model")


def able_route(ctx: RequestContext, operation: Operation) -> Route:
    """Return the request's route with those of its deployments alone that can do ``operation``.

    Raises:
        BadRequest: none can; says what the route can do, and who else can do this.
    """
    require(ctx, operation)
    route = ctx.route.route
    rungs = tuple(kept for rung in route.rungs if (kept := _able(rung, operation)))
    rules = route.rules and _able_rules(route.rules, operation)
    return msgspec.structs.replace(route, rungs=rungs, rules=rules)


def _able(entries: tuple[Weighted, ...], operation: Operation) -> tuple[Weighted, ...]:
    return tuple(
        (deployment, weight)
        for deployment, weight in entries
        if operation in operations_of(deployment.provider, deployment.model)
    )


def _able_rules(rules: Rules, operation: Operation) -> Rules:
    """The rules, where they say where a request may go; how hard a conversation is means nothing."""
    rungs = [
        msgspec.structs.replace(
            rung, entries=_able(rung.entries, operation), canary=_able(rung.canary, operation)
        )
        for rung in rules.rungs
    ]
    kept = tuple(rung for rung in rungs if rung.entries or rung.canary)
    return msgspec.structs.replace(rules, rungs=kept, tiers=None, tier_rungs=(), shadow=None)


def _explained(ctx: RequestContext, operation: Operation) -> str:
    name = ctx.route.name
    can = _words(ctx.route.operations) or "do nothing that is asked for by name"
    others = [other for other, state in usable_routes(ctx).items() if operation in state.operations]
    remedy = f"Use {', '.join(others[:5])}." if others else "No model of this gateway can."
    return f"'{name}' cannot {_WORDS[operation]}; it can {can}. {remedy}"


def _words(operations: tuple[Operation, ...]) -> str:
    return ", ".join(_WORDS[operation] for operation in operations)

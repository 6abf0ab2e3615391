"""What of Gemini's endpoints is no conversation: the models, and how many tokens a request has.

Sources: https://ai.google.dev/api/models, https://ai.google.dev/api/tokens
"""

from __future__ import annotations

from typing import Any

import msgspec

from santral.errors import NotFound, nearest
from santral.gateway.context import RequestContext
from santral.gateway.inbound import Inbound
from santral.gateway.respond import Responder
from santral.gateway.state import RouteState

_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]

_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct, frozen=True):
    input_tokens: int


_counted = msgspec.json.Decoder(_Counted)


def token_count(body: bytes) -> bytes:
    """Return a count of tokens as ``:countTokens`` answers it."""
    return _encode({"totalTokens": _counted.decode(body).input_tokens})


async def list_models(ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
    """Answer ``GET /v1beta/models`` on one page."""
    await responder.send_json(_encode({"models": [_model(r) for r in _allowed(ctx).values()]}))


async def show_model(ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
    """Answer ``GET /v1beta/models/{model}``.

    Raises:
        NotFound: the key may use none of that name; the nearest is named.
    """
    name, routes = inbound.parts["model"], _allowed(ctx)
    if name not in routes:
        raise NotFound(
            f"There is no model '{name[:128]}'.{nearest(name[:128], routes)} "
            "GET /v1beta/models lists them.",
            code="model_not_found",
            param="model",
        )
    await responder.send_json(_encode(_model(routes[name])))


def _allowed(ctx: RequestContext) -> dict[str, RouteState]:
    allowed = ctx.caller.key.routes
    return {
        name: route
        for name, route in ctx.snapshot.routes.items()
        if allowed is None or name in allowed
    }


def _model(route: RouteState) -> dict[str, Any]:
    model: dict[str, Any] = {
        "name": f"models/{route.name}",
        "version": "1",
        "displayName": route.name,
        "supportedGenerationMethods": _METHODS,
    }
    facts = [deployment.facts for rung in route.route.rungs for deployment, _ in rung]
    for theirs, ours in (
        ("inputTokenLimit", "context_tokens"),
        ("outputTokenLimit", "max_output_tokens"),
    ):
        known = [getattr(fact, ours) for fact in facts]
        if known and None not in known:
            model[theirs] = min(known)
    return model

"""``GET /v1/models`` and ``/v1/models/{id}``: what a key may name, for the clients of three vendors.

Sources: https://platform.openai.com/docs/api-reference/models,
https://docs.anthropic.com/en/api/models-list, https://ai.google.dev/api/models
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from santral.errors import BadRequest, NotFound, nearest
from santral.gateway.allowed import allowed_part
from santral.gateway.context import RequestContext
from santral.gateway.state import RouteState
from santral.routing.route import Deployment

#: Anthropic's clients sort by when a model was made; ours are names without a date.
_NO_DATE = "1970-01-01T00:00:00Z"
#: Entries of a page where a client of Anthropic names no limit, and the most. Source: their reference.
_PAGE, _MAX_PAGE = 20, 1000


def list_models(ctx: RequestContext, headers: Mapping[bytes, bytes], query: bytes) -> object:
    """Return the models that the caller's key may use, in the shape of the client that asks.

    Raises:
        BadRequest: a limit or cursor that is none.
    """
    routes = usable_routes(ctx)
    if b"anthropic-version" in headers:
        return _page(routes, query)
    if b"x-goog-api-key" in headers:
        return {"models": [google_model(route) for route in routes.values()]}
    return {"object": "list", "data": [_model(ctx, route) for route in routes.values()]}


def one_model(ctx: RequestContext, headers: Mapping[bytes, bytes], name: str) -> object:
    """Return one model.

    Raises:
        NotFound: the key may use none of that name; the nearest is named.
    """
    routes = usable_routes(ctx)
    route = routes.get(name)
    if route is None:
        raise unknown_model(name, routes)
    if b"x-goog-api-key" in headers:
        return google_model(route)
    return _anthropic(route) if b"anthropic-version" in headers else _model(ctx, route)


def google_model(route: RouteState) -> dict[str, Any]:
    """Return a model as Google lists it. Source: https://ai.google.dev/api/models#Model"""
    limits = _limits(list(_deployments(route)))
    names = {"context_window": "inputTokenLimit", "max_output_tokens": "outputTokenLimit"}
    return {
        "name": f"models/{route.name}",
        "version": "1",
        "displayName": route.name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        **{theirs: limits[ours] for ours, theirs in names.items() if ours in limits},
    }


def usable_routes(ctx: RequestContext) -> dict[str, RouteState]:
    """Return the routes that the caller's key may use, as far as it may use their deployments."""
    key = ctx.caller.key
    named = {name: route for name, route in ctx.snapshot.routes.items() if key.may_use(name)}
    if key.models is None:
        return named
    parts = {name: allowed_part(route, key.models) for name, route in named.items()}
    return {name: part for name, part in parts.items() if part is not None}


def unknown_model(name: str, routes: Iterable[str]) -> NotFound:
    """Return the refusal of a name that is none of ``routes``; the nearest of them is named."""
    return NotFound(
        f"There is no model or route '{name[:128]}'.{nearest(name[:128], routes)} "
        "GET /v1/models lists them.",
        code="model_not_found",
        param="model",
    )


def _model(ctx: RequestContext, route: RouteState) -> dict[str, Any]:
    deployments = list(_deployments(route))
    is_route = route.name in ctx.snapshot.config.routes
    owners = sorted({deployment.kind for deployment in deployments})
    return {
        "id": route.name,
        "object": "model",
        "created": 0,
        "owned_by": "santral" if is_route else ",".join(owners),
        "santral": {
            "kind": "route" if is_route else "deployment",
            "operations": list(route.operations),
            "capabilities": _capabilities(deployments),
            **_limits(deployments),
        },
    }


def _capabilities(deployments: Sequence[Deployment]) -> list[str]:
    """Return what every deployment is known to do: whichever answers, it can be asked for."""
    known = [
        {name for name, has in deployment.facts.capabilities.items() if has}
        for deployment in deployments
    ]
    return sorted(set[str].intersection(*known)) if known else []


def _limits(deployments: Iterable[Deployment]) -> dict[str, int]:
    """Return the limits that hold whichever deployment answers, as far as all of them are known."""
    facts = [deployment.facts for deployment in deployments]
    limits: dict[str, int] = {}
    for ours, name in (("context_window", "context_tokens"), ("max_output_tokens",) * 2):
        known = [getattr(fact, name) for fact in facts]
        if known and None not in known:
            limits[ours] = min(known)
    return limits


def _deployments(route: RouteState) -> Iterable[Deployment]:
    return (deployment for rung in route.route.rungs for deployment, _ in rung)


def _anthropic(route: RouteState) -> dict[str, str]:
    return {
        "type": "model",
        "id": route.name,
        "display_name": route.name,
        "created_at": _NO_DATE,
    }


def _page(routes: Mapping[str, RouteState], query: bytes) -> dict[str, Any]:
    """Return one page as Anthropic's clients turn them."""
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    names = list(routes)
    begin = _place(names, asked, "after_id") + 1 if "after_id" in asked else 0
    end = _place(names, asked, "before_id") if "before_id" in asked else len(names)
    limit = _limit(asked.get("limit", str(_PAGE)))
    window = names[begin:end]
    page = window[-limit:] if "before_id" in asked else window[:limit]
    return {
        "data": [_anthropic(routes[name]) for name in page],
        "has_more": len(page) < len(window),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_PAGE:
        raise BadRequest(
            f"'limit' must be from 1 to {_MAX_PAGE}.", code="invalid_request", param="limit"
        )
    return int(text)


def _place(names: list[str], asked: Mapping[str, str], cursor: str) -> int:
    name = asked[cursor]
    if name not in names:
        raise BadRequest(
            f"There is no model '{name[:128]}' to go on from.", code="invalid_request", param=cursor
        )
    return names.index(name)

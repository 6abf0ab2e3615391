"""The part of a route that a key may use: its deployments, as far as the key names them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from msgspec.structs import replace as changed

from santral.gateway.state import RouteState, route_operations
from santral.routing.route import Deployment, Recovery, Route, Rules, Rung, Weighted


def allowed_part(state: RouteState, models: frozenset[str]) -> RouteState | None:
    """Return a route with those of its deployments alone that are in ``models``, or None: none is.

    Its answers are cached apart: what another model said is not for this key.
    """
    route = _route(state.route, models)
    if not any(True for _ in route.deployments()):
        return None
    own = hashlib.blake2b("\0".join(sorted(models)).encode(), digest_size=8).hexdigest()
    return replace(
        state,
        route=route,
        policy_digest=f"{state.policy_digest}.{own}",
        operations=route_operations(route),
    )


def _route(route: Route, models: frozenset[str]) -> Route:
    # Rungs keep their places, empty ones too: complexity chooses them by number.
    return changed(
        route,
        rungs=tuple(_entries(rung, models) for rung in route.rungs),
        rules=None if route.rules is None else _rules(route.rules, models),
        recovery=_recovery(route.recovery, models),
    )


def _rules(rules: Rules, models: frozenset[str]) -> Rules:
    shadow = rules.shadow
    mirrored = () if shadow is None else _named(shadow.deployments, models)
    return changed(
        rules,
        rungs=tuple(_rung(rung, models) for rung in rules.rungs),
        shadow=changed(shadow, deployments=mirrored) if shadow is not None and mirrored else None,
    )


def _rung(rung: Rung, models: frozenset[str]) -> Rung:
    return changed(
        rung, entries=_entries(rung.entries, models), canary=_entries(rung.canary, models)
    )


def _recovery(recovery: Recovery, models: frozenset[str]) -> Recovery:
    last = recovery.last_resort
    return changed(
        recovery,
        detours={name: _named(who, models) for name, who in recovery.detours.items()},
        last_resort=last if last is not None and last.name in models else None,
    )


def _entries(entries: tuple[Weighted, ...], models: frozenset[str]) -> tuple[Weighted, ...]:
    return tuple(entry for entry in entries if entry[0].name in models)


def _named(deployments: tuple[Deployment, ...], models: frozenset[str]) -> tuple[Deployment, ...]:
    return tuple(deployment for deployment in deployments if deployment.name in models)

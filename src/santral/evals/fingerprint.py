"""What the answers of a target depend on beside its questions: another fingerprint, other answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import BaseModel

from santral.config.load import LoadedConfig
from santral.config.routes import RouteConfig
from santral.config.schema import Config
from santral.db.engine import Connection
from santral.errors import NotFound, nearest
from santral.evals.suite import Target
from santral.prompts.library import load_prompts
from santral.prompts.registry import Registry
from santral.prompts.store import read_registered
from santral.prompts.version import PromptVersion
from santral.retrieval.collections.store import find_collection, list_versions
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId

_encode = msgspec.json.Encoder(order="sorted").encode


class Fingerprint(Struct, frozen=True, kw_only=True):
    """``config_hash`` is empty where nobody knows: a server elsewhere."""

    config_hash: str = ""
    prompt: str = ""  # NAME@1.2.0 that will be composed, where it is one


class _Retrieval(Struct, frozen=True):
    collection: str = ""


async def fingerprint(
    loaded: LoadedConfig, conn: Connection, tenant: TenantId, target: Target
) -> Fingerprint:
    """Return the fingerprint of a target: its route with everything that the route names, the text of
    its prompt, and the state of the index that it searches.

    Raises:
        NotFound: no such route or prompt; names the nearest.
        ConfigError: a prompt of the folder cannot be used.
    """
    config = loaded.config
    route = config.routes.get(target.route)
    if route is None and target.route not in config.deployments:
        known = [*config.routes, *config.deployments]
        raise NotFound(
            f"There is no route '{target.route}'.{nearest(target.route, known)}",
            code="no_such_route",
        )
    prompts = await _prompts(config, conn, tenant, target, route)
    said = {
        "target": msgspec.to_builtins(target) | {"name": ""},
        "config": [_said(part) for part in _parts(config, target.route, route)],
        "prompts": [[one.reference, one.composed_hash] for one in prompts],
        "index": await _index(conn, tenant, target, route),
    }
    is_one = len(prompts) == 1
    return Fingerprint(
        config_hash=hashlib.sha256(_encode(said)).hexdigest(),
        prompt=prompts[0].reference if is_one else "",
    )


def _parts(config: Config, name: str, route: RouteConfig | None) -> Iterable[BaseModel | None]:
    """Yield the parts of the configuration on which answers depend, in an order of their own."""
    yield route
    names = _deployments(route) if route is not None else {name}
    for deployment in sorted(names & config.deployments.keys()):
        settings = config.deployments[deployment]
        yield settings
        yield config.providers.get(settings.provider)
    for table in (config.policies, config.collections):
        for key in sorted(table):
            yield table[key]
    if route is not None and route.experiment is not None:
        yield config.experiments.get(route.experiment)


def _deployments(route: RouteConfig) -> set[str]:
    rungs = {name for rung in route.ladder for name in (*rung.deployments, *rung.canary)}
    others = (
        route.on_context_window,
        route.on_content_policy,
        route.on_rate_limit,
        route.on_timeout,
        route.on_server_error,
    )
    return rungs.union(*(names or () for names in others))


def _said(part: BaseModel | None) -> str:
    """Return a part as text: references to secrets name where they are, and never what they are."""
    return repr(part)


async def _prompts(
    config: Config,
    conn: Connection,
    tenant: TenantId,
    target: Target,
    route: RouteConfig | None,
) -> list[PromptVersion]:
    """Return the prompts that may be composed: the target's, the route's, or those of its experiment."""
    references = [target.prompt] if target.prompt else _of_route(config, route)
    if not references:
        return []
    parents = (await load_tree(conn)).parents()
    registry = Registry(load_prompts(config.prompts.folder), await read_registered(conn, parents))
    return [registry.find(tenant, reference).version for reference in references]


def _of_route(config: Config, route: RouteConfig | None) -> list[str]:
    if route is None:
        return []
    experiment = config.experiments.get(route.experiment) if route.experiment else None
    arms = experiment.variants.values() if experiment is not None else ()
    said = {arm.prompt or route.prompt for arm in arms} if arms else {route.prompt}
    return sorted(prompt for prompt in said if prompt)


async def _index(
    conn: Connection, tenant: TenantId, target: Target, route: RouteConfig | None
) -> list[Any]:
    """Return which index is searched, where one is: an ingest makes another one."""
    of_route = route.retrieval.collection if route is not None and route.retrieval else ""
    given = msgspec.convert(target.extras.get("retrieval") or {}, _Retrieval)
    name = given.collection or of_route
    if not name:
        return []
    found = await find_collection(conn, tenant, name)
    if found is None:
        return [name]
    versions = await list_versions(conn, tenant, name)
    active = next((one for one in versions if one.version == found.active_version), None)
    return [name, found.active_version, active.generation if active else ""]

"""LiteLLM's models, groups and fallbacks as Santral's providers, deployments and routes."""

from __future__ import annotations

from collections.abc import Iterator

from santral.app.litellm.provider import Converted, clean_name, free_name, kind_of, provider_of
from santral.app.litellm.read import LiteLLM, ModelEntry, Settings, pairs, table

STRATEGIES = {
    "simple-shuffle": "weighted",
    "least-busy": "least_busy",
    "latency-based-routing": "lowest_latency",
    "cost-based-routing": "cheapest",
}
#: Settings of ``litellm_params`` that a provider or deployment takes.
_TAKEN = frozenset(
    {
        "model", "api_key", "api_base", "base_url", "api_version", "weight", "order", "rpm", "tpm",
        "timeout", "request_timeout", "stream_timeout", "max_retries", "num_retries", "extra_headers",
        "aws_region_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
        "vertex_project", "vertex_location", "vertex_credentials", "region_name",
        "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
        "cache_creation_input_token_cost",
    }
)  # fmt: skip
_LIMITS = ("rpm", "tpm")


def convert(source: LiteLLM) -> Converted:
    """Return what Santral can do of a LiteLLM configuration, and a sentence for each thing it cannot."""
    made = Converted()
    groups: dict[str, list[tuple[ModelEntry, str]]] = {}
    for entry in source.models:
        name = _deployment(made, source, entry)
        if name:
            groups.setdefault(entry.group, []).append((entry, name))
    for group, members in groups.items():
        made.routes[clean_name(group)] = _route(made, source, group, members, groups)
    for alias, target in _aliases(source):
        if clean_name(target) in made.routes:
            made.routes[clean_name(alias)] = made.routes[clean_name(target)]
        else:
            made.leave(
                f"router_settings.model_group_alias.{alias}", f"there is no group '{target}'"
            )
    made.left += _unknown(source)
    return made


def _deployment(made: Converted, source: LiteLLM, entry: ModelEntry) -> str:
    place = f"model_list.{entry.number} ({entry.group})"
    if "*" in entry.group or "*" in entry.params["model"]:
        made.leave(place, "a wildcard names no model; list the models that callers may use")
        return ""
    kind, model = kind_of(entry)
    if not kind:
        made.leave(place, f"the provider of '{entry.params['model']}' is not one of Santral's")
        return ""
    provider = provider_of(made, entry, kind)
    settings: Settings = {"provider": provider, "model": model}
    timeouts = _timeouts(source, entry)
    if timeouts:
        settings["timeouts"] = timeouts
    retries = entry.params.get("max_retries", entry.params.get("num_retries"))
    if isinstance(retries, int):
        settings["retries"] = retries
    name = free_name(made.deployments, f"{clean_name(entry.group)}-{len(made.deployments) + 1}")
    price = _price(entry, kind, model)
    if price:
        made.prices.append(price)
    base = entry.info.get("base_model")
    if isinstance(base, str):
        settings["price"] = (
            base if "/" in base else f"{kind if kind != 'azure' else 'openai'}/{base}"
        )
    made.deployments[name] = settings
    for setting in entry.params.keys() - _TAKEN:
        made.leave(f"{place}.{setting}", "a default for requests; put it into a prompt's settings")
    return name


def _timeouts(source: LiteLLM, entry: ModelEntry) -> Settings:
    params = entry.params
    total = params.get("timeout") or params.get("request_timeout")
    total = total or source.router.get("timeout") or source.litellm.get("request_timeout")
    first = params.get("stream_timeout") or source.router.get("stream_timeout")
    found: Settings = {}
    if isinstance(total, int | float):
        found["total_s"] = float(total)
    if isinstance(first, int | float):
        found["first_delta_s"] = float(first)
    return found


def _route(
    made: Converted,
    source: LiteLLM,
    group: str,
    members: list[tuple[ModelEntry, str]],
    groups: dict[str, list[tuple[ModelEntry, str]]],
) -> Settings:
    route: Settings = {"ladder": [{"deployments": rung} for rung in _rungs(members)]}
    for target in _targets(source, "fallbacks", group):
        if target in groups:
            route["ladder"].append({"deployments": _weights(groups[target])})
        else:
            made.leave(f"fallbacks.{group}", f"there is no group '{target}'")
    for theirs, ours in (
        ("context_window_fallbacks", "on_context_window"),
        ("content_policy_fallbacks", "on_content_policy"),
    ):
        names = [n for t in _targets(source, theirs, group) for _, n in groups.get(t, ())]
        if names:
            route[ours] = names
    strategy = source.router.get("routing_strategy")
    if strategy in STRATEGIES and strategy != "simple-shuffle":
        route["strategy"] = STRATEGIES[strategy]
    retries = source.router.get("num_retries", source.litellm.get("num_retries"))
    if isinstance(retries, int):
        route["retries"] = retries
    if source.litellm.get("cache") is True:
        cache = table(source.litellm.get("cache_params"))
        route["cache"] = {"enabled": True} | (
            {"ttl_s": float(cache["ttl"])} if isinstance(cache.get("ttl"), int | float) else {}
        )
    return route


def _rungs(members: list[tuple[ModelEntry, str]]) -> list[dict[str, float]]:
    """Return LiteLLM's ``order`` as rungs, the lowest first."""
    orders = sorted({_order(entry) for entry, _ in members})
    return [_weights([m for m in members if _order(m[0]) == order]) for order in orders]


def _order(entry: ModelEntry) -> int:
    order = entry.params.get("order")
    return order if isinstance(order, int) else 1


def _weights(members: list[tuple[ModelEntry, str]]) -> dict[str, float]:
    """Return weights as LiteLLM's shuffle draws: by weight, else by rpm, else by tpm, else alike."""
    for setting in ("weight", *_LIMITS):
        values = [entry.params.get(setting) for entry, _ in members]
        if all(isinstance(value, int | float) and value > 0 for value in values):
            return {name: float(entry.params[setting]) for entry, name in members}
    return {name: 1.0 for _, name in members}


def _targets(source: LiteLLM, setting: str, group: str) -> list[str]:
    found: list[str] = []
    for section in (source.router, source.litellm):
        for name, targets in pairs(section.get(setting)):
            if name in (group, "*"):
                found += [target for target in targets if target not in (*found, group)]
        if setting == "fallbacks" and isinstance(section.get("default_fallbacks"), list):
            found += [t for t in section["default_fallbacks"] if t not in (*found, group)]
    return found


def _aliases(source: LiteLLM) -> Iterator[tuple[str, str]]:
    for section in (source.router, source.litellm):
        for name in ("model_group_alias", "model_alias_map"):
            for alias, target in table(section.get(name)).items():
                target = table(target).get("model", target)
                if isinstance(target, str):
                    yield alias, target


def _price(entry: ModelEntry, kind: str, model: str) -> Settings | None:
    values = {**entry.info, **entry.params}
    amounts = {
        ours: values[theirs]
        for theirs, ours in (
            ("input_cost_per_token", "input"),
            ("output_cost_per_token", "output"),
            ("cache_read_input_token_cost", "cache_read"),
            ("cache_creation_input_token_cost", "cache_write"),
        )
        if isinstance(values.get(theirs), int | float)
    }
    if "input" not in amounts:
        return None
    per_million = {name: f"{float(value) * 1e6:.6f}" for name, value in amounts.items()}
    return {"kind": kind, "model": model, "output": "0", **per_million}


#: Why other settings have no counterpart, by how their names begin.
_REASONS: tuple[tuple[str, str], ...] = (
    ("general_settings.master_key", "Santral makes its own admin key at first start"),
    ("general_settings.database", "Santral keeps its data itself; see [database] for PostgreSQL"),
    ("general_settings.alerting", "alerts are not here yet"),
    ("litellm_settings.callbacks", "traces are built in; see santral traces"),
    ("litellm_settings.success_callback", "traces are built in; see santral traces"),
    ("litellm_settings.failure_callback", "traces are built in; see santral traces"),
    ("litellm_settings.cache_params", "name the store in [cache] url"),
    ("litellm_settings.guardrails", "write a policy: docs/how-to/write-a-policy.md"),
    ("guardrails", "write a policy: docs/how-to/write-a-policy.md"),
    ("router_settings.redis", "name the store in [cache] url"),
    ("router_settings.routing_strategy", "this strategy is not here; traffic goes by weight"),
    ("mcp_servers", "not a gateway for tools"),
)
_DONE = frozenset(
    {
        "litellm_settings.cache", "litellm_settings.num_retries", "litellm_settings.request_timeout",
        "litellm_settings.fallbacks", "litellm_settings.context_window_fallbacks",
        "litellm_settings.content_policy_fallbacks", "litellm_settings.default_fallbacks",
        "litellm_settings.model_alias_map", "router_settings.fallbacks", "router_settings.timeout",
        "router_settings.stream_timeout", "router_settings.num_retries",
        "router_settings.context_window_fallbacks", "router_settings.content_policy_fallbacks",
        "router_settings.default_fallbacks", "router_settings.model_group_alias",
        # What Santral does anyway: drops and says so, prints nothing of requests, checks before calls.
        "litellm_settings.drop_params", "litellm_settings.set_verbose",
        "router_settings.enable_pre_call_checks",
    }
)  # fmt: skip


def _unknown(source: LiteLLM) -> Iterator[str]:
    """Yield a sentence for every other setting."""
    sections = {
        "litellm_settings": source.litellm,
        "router_settings": source.router,
        "general_settings": source.general,
    }
    names = [f"{section}.{name}" for section, values in sections.items() for name in values]
    for name in [*names, *source.others]:
        is_known = name == "router_settings.routing_strategy" and (
            source.router["routing_strategy"] in STRATEGIES
        )
        if name in _DONE or is_known:
            continue
        reason = next((why for start, why in _REASONS if name.startswith(start)), "")
        yield f"{name}: {reason or 'has no counterpart'}"

"""How a question is asked: settings of the collection, and what a request says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from santral.config.collections import CollectionConfig, FreshnessRuleConfig, SearchConfig
from santral.errors import BadRequest, nearest
from santral.retrieval.filter import Filter, parse_filter
from santral.retrieval.index.signal import Signal
from santral.retrieval.search.rerank.known import require_features, require_known

Weights: TypeAlias = Mapping[Signal, float]


class FreshnessRule(Struct, frozen=True):
    """What becomes of documents older than ``older_than_s``: ``factor`` 0 hides them."""

    older_than_s: float
    factor: float
    where: Filter = ()


class SearchOptions(Struct, frozen=True, kw_only=True):
    """Everything that decides what is made of a question; ``options_of`` makes it of settings.

    ``weights`` empty: those measured for the model and the language. What the fields do says
    ``santral.config.collections.SearchConfig``.
    """

    top_k: int = 5
    max_tokens: int = 2000
    filter: Filter = ()
    weights: Weights = {}
    freshness: tuple[FreshnessRule, ...] = ()
    candidates: int = 60
    rewrite: Literal["off", "rules"] = "rules"
    rewrite_route: str | None = None
    queries: int = 1
    hyde: bool = False
    rerank: str = "off"
    ranker: Mapping[str, float] = {}
    rerank_candidates: int = 30
    diversity: float = 0.0
    recency_half_life_days: float | None = None
    neighbours: int = 0
    parents: Literal["joined", "always", "never"] = "joined"
    order: Literal["best-first", "edges"] = "best-first"
    whole_document_tokens: int = 0
    min_score: float = 0.0


#: What a request may say beside the settings of a search.
_OWN = ("top_k", "max_tokens", "filter", "weights")
#: Bounds of what has no setting in ``SearchConfig``. Chosen: above, a context is no context.
MAX_TOP_K = 100
MAX_TOKENS = 2_000_000


def options_of(
    settings: CollectionConfig,
    given: Mapping[str, Any] | None = None,
    *,
    top_k: int = 5,
    max_tokens: int = 2000,
    place: str = "santral.retrieval",
) -> SearchOptions:
    """Return the options of a collection, with what a request says otherwise in ``given``.

    ``given`` holds names of ``SearchConfig`` and ``top_k``, ``max_tokens``, ``filter``, ``weights``,
    with values as JSON has them.

    Raises:
        BadRequest: an unknown name (names the nearest), or a value that does not fit.
    """
    given = given or {}
    _require_known(given, place)
    changed = {name: value for name, value in given.items() if name not in _OWN}
    search = _checked(settings.search, changed, place) if changed else settings.search
    require_known(search.rerank, f"{place}.rerank")
    require_features(search.ranker, f"{place}.ranker")
    values = {name: getattr(search, name) for name in SearchConfig.model_fields}
    return SearchOptions(
        **values,
        top_k=_number(given, "top_k", top_k, MAX_TOP_K, place),
        max_tokens=_number(given, "max_tokens", max_tokens, MAX_TOKENS, place),
        filter=parse_filter(_mapping(given, "filter", place), f"{place}.filter"),
        weights=_weights(given, place) or dict(settings.weights),
        freshness=tuple(_rule(rule) for rule in settings.freshness),
    )


def _require_known(given: Mapping[str, Any], place: str) -> None:
    known = (*_OWN, *SearchConfig.model_fields)
    for name in given:
        if name not in known:
            raise BadRequest(
                f"Unknown search option '{name}'. Options are {', '.join(known)}."
                f"{nearest(name, known)}",
                code="unknown_search_option",
                param=f"{place}.{name}",
            )


def _checked(settings: SearchConfig, changed: Mapping[str, Any], place: str) -> SearchConfig:
    """Return the settings with changes, checked as the configuration is."""
    from_file = settings.model_dump()
    try:
        return SearchConfig.model_validate({**from_file, **changed})
    except ValueError as error:
        found: Any = error
        first = found.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise BadRequest(
            f"The search option {name} cannot be used: {first['msg']}.",
            code="bad_search_option",
            param=f"{place}.{name}",
        ) from None


def _number(given: Mapping[str, Any], name: str, default: int, most: int, place: str) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadRequest(
            f"The search option {name} needs a whole number from 1 to {most}.",
            code="bad_search_option",
            param=f"{place}.{name}",
        )
    return value


def _mapping(given: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    try:
        return msgspec.convert(given.get(name) or {}, dict[str, Any])
    except msgspec.ValidationError:
        raise BadRequest(
            f"The search option {name} needs an object.",
            code="bad_search_option",
            param=f"{place}.{name}",
        ) from None


def _weights(given: Mapping[str, Any], place: str) -> dict[Signal, float]:
    wanted = _mapping(given, "weights", place)
    try:
        checked = CollectionConfig.model_validate({"weights": wanted}).weights
    except ValueError:
        raise BadRequest(
            "The search option weights needs numbers from 0 to 1, one of them above 0, for bm25, "
            "ngrams and dense.",
            code="bad_search_option",
            param=f"{place}.weights",
        ) from None
    return dict(checked)


def _rule(rule: FreshnessRuleConfig) -> FreshnessRule:
    return FreshnessRule(
        older_than_s=rule.older_than_days * 86_400,
        factor=0.0 if rule.action == "hide" else rule.factor,
        where=parse_filter(rule.where, "freshness.where"),
    )

"""The names of rerankers, as settings and requests have them."""

from __future__ import annotations

from collections.abc import Iterable

from santral.errors import BadRequest, nearest

#: What the learned ranker looks at; ``features.py`` says what they are.
FEATURE_NAMES = (
    "fused", "bm25", "ngrams", "dense", "length", "cover", "heading", "close", "near", "wide",
    "pairs", "names", "siblings", "kin",
)  # fmt: skip

OFF, LEARNED, CROSS_ENCODER, DEPLOYMENT = "off", "learned", "cross-encoder", "deployment:"


def require_known(name: str, place: str) -> None:
    """Return where ``rerank`` names a reranker.

    Raises:
        BadRequest: it does not; names the nearest.
    """
    known = (OFF, LEARNED, CROSS_ENCODER)
    if name in known or (name.startswith(DEPLOYMENT) and len(name) > len(DEPLOYMENT)):
        return
    raise BadRequest(
        f"Unknown reranker '{name[:64]}'. Rerankers are {', '.join(known)} and deployment:NAME."
        f"{nearest(name[:64], known)}",
        code="unknown_reranker",
        param=place,
    )


def require_features(weights: Iterable[str], place: str) -> None:
    """Return where every weight is of a feature.

    Raises:
        BadRequest: one is not; names the nearest.
    """
    for name in weights:
        if name not in FEATURE_NAMES:
            raise BadRequest(
                f"Unknown feature '{name[:64]}'. Features are {', '.join(FEATURE_NAMES)}."
                f"{nearest(name[:64], FEATURE_NAMES)}",
                code="bad_search_option",
                param=f"{place}.{name[:64]}",
            )

"""The names of rerankers, as settings and requests have them."""

from __future__ import annotations

from santral.errors import BadRequest, nearest

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

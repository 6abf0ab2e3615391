"""Keeps what belongs together on one deployment, without remembering anything."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

from santral.routing.route import Deployment, Weighted

_SPAN = float(1 << 64)


def position(*parts: str) -> float:
    """Return where a thing stands between 0 and 1, both left out: always the same, evenly spread."""
    digest = hashlib.blake2b("\x00".join(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / _SPAN


def settled(entries: Sequence[Weighted], route: str, unit: str) -> Iterator[Deployment]:
    """Yield deployments in the order of one unit: shares follow the weights, and when one goes only
    its own units move.

    Source: weighted rendezvous hashing, -w / ln(h): draft-ietf-bess-weighted-hrw.
    """

    def score(entry: Weighted) -> float:
        deployment, weight = entry
        return -weight / math.log(position(route, deployment.name, unit))

    return (deployment for deployment, _ in sorted(entries, key=score, reverse=True))


def on_trial(canary: Sequence[Weighted], route: str, point: float) -> Deployment | None:
    """Return the canary that stands at ``point`` of 0 to 1, if one does: ``canary`` holds percents."""
    edge = 0.0
    for deployment, percent in canary:
        edge += percent / 100
        if point < edge:
            return deployment
    return None

"""Splits: which examples train, tune and test. One family lands in one split, and stays there."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from santral.errors import BadRequest
from santral.evals.datasets.near import Likeness
from santral.evals.example import Example

#: By how much shares may miss one. Chosen: thirds are written 0.33.
_SLACK = 0.02


def parse_shares(text: str) -> dict[str, float]:
    """Return shares from a text such as ``train=0.8,test=0.2``.

    Raises:
        BadRequest: it is no such text, or the shares do not add up to 1.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = part.strip().partition("=")
        try:
            shares[name] = float(value)
        except ValueError:
            sign = ""
        if not sign or not name or not 0 < shares[name] <= 1:
            raise BadRequest(f"'{part}' is no share. Write train=0.8,test=0.2.", param="shares")
    if abs(sum(shares.values()) - 1) > _SLACK:
        raise BadRequest(
            f"The shares add up to {sum(shares.values()):g}. They have to make 1.", param="shares"
        )
    return shares


def assign_splits(
    examples: Sequence[Example],
    shares: Mapping[str, float],
    alike: Likeness,
    *,
    stratify: str = "",
    seed: str = "",
    is_kept: bool = True,
) -> dict[str, str]:
    """Return the split of every example, by id.

    A family (one ``cluster``, or near-duplicates) is decided as one, by the hash of its first id: more
    examples later move none that are there. ``stratify`` names a metadata field: each of its values
    then has the shares as nearly as families allow, and examples that come later may move others,
    but for ``is_kept``: what has a split keeps it, and its family follows.
    """
    families = _families(examples, alike)
    decided: dict[str, str] = {}
    free: dict[str, list[Example]] = {}
    for key, members in families.items():
        known = next((one.split for one in members if one.split in shares), "") if is_kept else ""
        if known:
            decided[key] = known
        else:
            free[key] = members
    if stratify:
        decided |= _stratified(families, decided, free, shares, stratify, seed)
    else:
        decided |= {key: _by_hash(key, shares, seed) for key in free}
    return {one.id: decided[key] for key, members in families.items() for one in members}


def _families(examples: Sequence[Example], alike: Likeness) -> dict[str, list[Example]]:
    """Return families by the least id in them: of one cluster, near-duplicates, or both in a chain."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    for one in examples:
        # an example of one's own name is the parent of what was made from it
        for other in (f"cluster {one.cluster or one.id}", f"alike {alike.group_of(one.id)}"):
            parents[root(other)] = root(f"id {one.id}")
    found: defaultdict[str, list[Example]] = defaultdict(list)
    for one in sorted(examples, key=lambda one: one.id):
        found[root(f"id {one.id}")].append(one)
    return {members[0].id: members for members in found.values()}


def _by_hash(key: str, shares: Mapping[str, float], seed: str) -> str:
    place = _place(key, seed)
    total = sum(shares.values())
    for name, share in shares.items():
        place -= share / total
        if place < 0:
            return name
    return list(shares)[-1]


def _stratified(
    families: Mapping[str, list[Example]],
    decided: Mapping[str, str],
    free: Mapping[str, list[Example]],
    shares: Mapping[str, float],
    stratify: str,
    seed: str,
) -> dict[str, str]:
    """Give each family, in the order of its hash, the split that is furthest behind in its stratum."""
    strata: defaultdict[str, list[str]] = defaultdict(list)
    for key, members in families.items():
        strata[str(members[0].metadata.get(stratify, ""))].append(key)
    made: dict[str, str] = {}
    for keys in strata.values():
        counts = dict.fromkeys(shares, 0.0)
        for key in keys:
            if key in decided:
                counts[decided[key]] += len(families[key])
        for key in sorted((k for k in keys if k in free), key=lambda k: _place(k, seed)):
            total = sum(counts.values()) + len(free[key])
            behind = {name: share * total - counts[name] for name, share in shares.items()}
            made[key] = max(behind, key=lambda name: behind[name])
            counts[made[key]] += len(free[key])
    return made


def _place(key: str, seed: str) -> float:
    """Return where a key lies, 0 up to 1."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64

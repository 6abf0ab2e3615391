"""Assignment: which variant a unit sees, by hash alone, with nothing stored."""

from __future__ import annotations

from hashlib import blake2b
from math import log

from msgspec import Struct

from santral.experiments.experiment import Experiment, Variant


class Assignment(Struct, frozen=True):
    """The variant a unit sees, and the probability with which it was going to see it."""

    variant: Variant
    propensity: float


def assign(experiment: Experiment, unit: str) -> Assignment:
    """Return the variant of ``unit``: always the same one while salt, arms and weights stay.

    Each arm draws an exponential time with its share as the rate, from a hash of salt, arm and
    unit; the earliest arm wins, which it does with exactly its share. Changing the weight of one
    arm moves units only into it or out of it, and the order of the arms does not matter: with
    cumulative weights every arm behind it would move too. Costs one hash (about 1.5 us) an arm.

    Source: weighted rendezvous hashing, Thaler and Ravishankar 1998; Efraimidis and Spirakis 2006.
    """
    data = unit.encode("utf-8", "surrogatepass")
    chosen: Variant | None = None
    earliest = float("inf")
    for variant in experiment.variants:
        if variant.share:
            time = -log(_uniform(variant.seed, data)) / variant.share
            if time < earliest:
                chosen, earliest = variant, time
    if chosen is None:
        raise ValueError(f"experiment '{experiment.name}' has no variant with a weight above zero")
    return Assignment(chosen, chosen.share)


def _uniform(seed: bytes, data: bytes) -> float:
    """A number in (0, 1] from 64 bits; never 0, whose logarithm does not exist."""
    bits = int.from_bytes(blake2b(seed + data, digest_size=8).digest(), "big")
    return (bits + 0.5) / 18_446_744_073_709_551_616

"""An experiment and its variants."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

from msgspec import Struct

from santral.config.policies import ExperimentConfig

Unit: TypeAlias = Literal["user", "session", "key", "request"]


class Variant(Struct, frozen=True):
    """One arm: ``share`` is the probability that a unit sees it; all shares add up to 1."""

    name: str
    share: float
    prompt: str | None = None
    seed: bytes = b""  # 32 bytes that stand for experiment, salt and arm when units are hashed


class Experiment(Struct, frozen=True):
    """A live comparison: the unit that is assigned, and the arms it may see."""

    name: str
    unit: Unit
    variants: tuple[Variant, ...]

    @classmethod
    def from_config(cls, name: str, config: ExperimentConfig) -> Experiment:
        """Build it from ``[experiments.NAME]``. Name and salt both enter the hash, so two
        experiments with one salt still assign independently."""
        total = sum(variant.weight for variant in config.variants.values())
        variants = tuple(
            Variant(arm, variant.weight / total, variant.prompt, _seed(name, config.salt, arm))
            for arm, variant in config.variants.items()
        )
        return cls(name, config.unit, variants)


def _seed(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)  # so that no two lists of parts meet
    return digest.digest()

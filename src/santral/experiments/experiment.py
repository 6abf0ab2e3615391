"""An experiment and its variants."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from santral.config.experiments import ExperimentConfig, LayerConfig, Unit

__all__ = ["HOLDOUT", "Experiment", "Layer", "Unit", "Variant"]

#: The arm that units of a layer's holdout are recorded under; no variant can be called so.
HOLDOUT = "(holdout)"


class Variant(Struct, frozen=True):
    """One arm: ``share`` is the probability that a unit sees it; all shares add up to 1."""

    name: str
    share: float
    prompt: str | None = None
    seed: bytes = b""  # 32 bytes that stand for experiment, salt and arm when units are hashed


class Layer(Struct, frozen=True):
    """Units that experiments share, and the part of them that nothing ever changes."""

    name: str
    seed: bytes = b""
    holdout: float = 0.0
    holdout_seed: bytes = b""

    @classmethod
    def from_config(cls, name: str, config: LayerConfig) -> Layer:
        """Build it from ``[layers.NAME]``."""
        return cls(
            name, _seed("layer", name, config.salt), config.holdout,
            _seed("holdout", name, config.salt),
        )  # fmt: skip


class Experiment(Struct, frozen=True):
    """A live comparison: the unit that is assigned, the arms it may see, and which units take part.

    ``low`` and ``high`` bound the units of the layer that take part: ``share`` of a segment is its
    lower part, so that a ramp only adds units.
    """

    name: str
    unit: Unit
    variants: tuple[Variant, ...]
    layer: Layer
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def from_config(
        cls,
        name: str,
        config: ExperimentConfig,
        layers: Mapping[str, LayerConfig] | None = None,
        *,
        share: float | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Experiment:
        """Build it from its settings. Name and salt both enter the hash, so two experiments with one
        salt still assign independently.

        ``share`` and ``weights`` are what a ramp and a bandit have made of the settings.
        """
        asked = weights or {arm: variant.weight for arm, variant in config.variants.items()}
        total = sum(asked.values())
        variants = tuple(
            Variant(arm, asked.get(arm, 0.0) / total, variant.prompt, _seed(name, config.salt, arm))
            for arm, variant in config.variants.items()
        )
        low, high = config.segment
        part = config.share if share is None else share
        return cls(
            name, config.unit, variants, _layer(name, config, layers or {}), low,
            low + part * (high - low),
        )  # fmt: skip

    @property
    def takes_all(self) -> bool:
        """Whether every unit takes part: none has to be placed in the layer."""
        return self.low <= 0.0 and self.high >= 1.0 and not self.layer.holdout


def _layer(name: str, config: ExperimentConfig, layers: Mapping[str, LayerConfig]) -> Layer:
    """Return the layer it shares; an experiment without one has a layer of its own."""
    if config.layer is None:
        return Layer("", _seed("layer of", name, config.salt))
    return Layer.from_config(config.layer, layers.get(config.layer) or LayerConfig())


def _seed(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)  # so that no two lists of parts meet
    return digest.digest()

"""How hard a request is: a small trained classifier, and rules that are sure."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from santral.errors import ConfigError
from santral.routing.complexity_features import NAMES, Shape, features, shape_of
from santral.wire.chat import ChatCall

SHIPPED = Path(__file__).with_name("complexity.toml")

#: Efforts that name a strong model by themselves.
_HIGH_EFFORT = frozenset({"high", "xhigh", "max"})
#: Characters from which the question alone is work, whatever it says. Chosen: some five pages.
LONG_CHARACTERS = 12_000
#: Tools from which choosing among them is work. Chosen.
MANY_TOOLS = 12
#: Features that take a request to the next tier are told apart in traces down to this.
_DIGITS = 4


class Judgement(Struct, frozen=True):
    """How hard a request is: a tier, the score behind it, what rules fired, and the features."""

    tier: int
    score: float  # probability of being hard, 0 to 1
    rules: tuple[str, ...]
    features: tuple[float, ...]

    def shown(self) -> dict[str, float]:
        """Return the features that are not zero, by name."""
        return {
            name: round(value, _DIGITS)
            for name, value in zip(NAMES, self.features, strict=True)
            if value
        }


class Classifier(Struct, frozen=True, kw_only=True):
    """A logistic regression over ``NAMES`` and the scores at which the next tier begins."""

    version: str
    bias: float
    weights: tuple[float, ...]  # in the order of NAMES, for features as they are
    thresholds: dict[int, tuple[float, ...]]  # by the number of tiers

    @classmethod
    def load(cls, path: Path | None = None) -> Classifier:
        """Read a classifier, the shipped one by default.

        Raises:
            ConfigError: the file cannot be read or is none; the message says why.
        """
        return _read(path or SHIPPED)

    def score(self, values: Sequence[float]) -> float:
        """Return the probability that a request with these features is hard."""
        total = self.bias
        for weight, value in zip(self.weights, values, strict=True):
            total += weight * value
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


class Tiers(Struct, frozen=True, kw_only=True):
    """Judges requests for one route."""

    names: tuple[str, ...]
    classifier: Classifier
    thresholds: tuple[float, ...]

    @classmethod
    def build(
        cls, names: Sequence[str], classifier: Classifier, thresholds: Sequence[float] | None
    ) -> Tiers:
        """Return the judge of ``names``, the easiest tier first; 2 to 4 of them."""
        cuts = classifier.thresholds[len(names)] if thresholds is None else thresholds
        return cls(names=tuple(names), classifier=classifier, thresholds=tuple(cuts))

    def judge(self, call: ChatCall) -> Judgement:
        """Return how hard a call is. Some 25 us for 1 kB."""
        return self.judge_text(*shape_of(call))

    def judge_text(self, text: str, shape: Shape) -> Judgement:
        """Return how hard a question of that shape is."""
        values = features(text, shape)
        score = self.classifier.score(values)
        rules = fired(text, shape)
        hardest = len(self.names) - 1
        tier = hardest if rules else sum(score >= cut for cut in self.thresholds)
        return Judgement(tier, round(score, _DIGITS), rules, values)


def fired(text: str, shape: Shape) -> tuple[str, ...]:
    """Return the rules that send a request to the hardest tier whatever its score."""
    found: list[str] = []
    if shape.effort in _HIGH_EFFORT:
        found.append(f"reasoning_effort is {shape.effort}")
    if len(text) >= LONG_CHARACTERS:
        found.append(f"the question has {len(text)} characters")
    if shape.tools >= MANY_TOOLS:
        found.append(f"{shape.tools} tools to choose from")
    return tuple(found)


class _File(Struct, forbid_unknown_fields=True, kw_only=True):
    version: str
    bias: float
    weights: dict[str, float]
    thresholds: dict[str, list[float]]
    card: dict[str, object] = {}


def _read(path: Path) -> Classifier:
    try:
        content = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: the classifier cannot be used: {error}.") from None
    if set(content.weights) != set(NAMES):
        odd = sorted(set(content.weights) ^ set(NAMES))
        raise ConfigError(
            f"{path}: its features are not those of this version ({', '.join(odd)}). "
            "Make it again with: santral routes train"
        )
    cuts = {int(count): tuple(values) for count, values in content.thresholds.items()}
    if any(len(cuts.get(count, ())) != count - 1 for count in (2, 3, 4)):
        raise ConfigError(f"{path}: thresholds must be given for 2, 3 and 4 tiers.")
    return Classifier(
        version=content.version,
        bias=content.bias,
        weights=tuple(content.weights[name] for name in NAMES),
        thresholds=cuts,
    )

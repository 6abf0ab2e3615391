"""Rules that send traces to review, and the chance by which each was taken.

The choice is a hash of queue, rule and trace: looking twice chooses alike, and a higher probability
chooses everything that a lower one did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

RuleKind: TypeAlias = Literal[
    "random",
    "low_confidence",
    "disagreement",
    "thumbs_down",
    "refusal",
    "found",
    "drift_exemplar",
    "held",
]
#: Rules over what comes after a trace: scores that a user or judge gave it.
OF_SCORES: frozenset[RuleKind] = frozenset({"low_confidence", "disagreement", "thumbs_down"})


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What sends a trace to a queue, and how often."""

    kind: RuleKind
    probability: float = 1.0  # of a trace that it means
    score: str = ""  # low_confidence, disagreement: the score that is looked at
    below: float = 0.5  # low_confidence: worse than this; disagreement: a judge's no
    check: str = ""  # found, disagreement: of a guardrail
    route: str = ""  # empty: every route

    @property
    def key(self) -> str:
        """What the rule is about, whatever its probability."""
        parts = [self.kind, self.score, self.check, self.route]
        if self.kind in ("low_confidence", "disagreement"):
            parts.append(f"{self.below:g}")
        return ":".join(parts).rstrip(":")


def is_drawn(salt: str, rule: Rule, trace_id: str) -> bool:
    """Whether a rule takes a trace that it means."""
    return rule.probability >= 1 or chance_of(salt, rule.key, trace_id) < rule.probability


def chance_of(salt: str, key: str, trace_id: str) -> float:
    """Return the trace's number for a rule, even over [0, 1)."""
    digest = hashlib.sha256(f"{salt}\n{key}\n{trace_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def combined(probabilities: Iterable[float]) -> float:
    """Return the chance that at least one of independent rules takes a trace."""
    together = 0.0
    for probability in probabilities:
        together += probability - together * probability
    return together

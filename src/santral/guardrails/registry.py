"""Every check by the name that policies give it."""

from __future__ import annotations

from typing import Final

from santral.guardrails.check import Check
from santral.guardrails.checks.pii import Pii
from santral.guardrails.checks.secrets import Secrets

CHECKS: Final[dict[str, type[Check]]] = {
    "pii": Pii,
    "secrets": Secrets,
}

"""Every check by the name that policies give it."""

from __future__ import annotations

from typing import Final

from santral.guardrails.check import Check
from santral.guardrails.checks.citations import Citations
from santral.guardrails.checks.injection import Injection
from santral.guardrails.checks.json_schema import JsonSchema
from santral.guardrails.checks.length import Length
from santral.guardrails.checks.pii import Pii
from santral.guardrails.checks.refusal import Refusal
from santral.guardrails.checks.secrets import Secrets

CHECKS: Final[dict[str, type[Check]]] = {
    "pii": Pii,
    "secrets": Secrets,
    "injection": Injection,
    "length": Length,
    "json_schema": JsonSchema,
    "citations": Citations,
    "refusal": Refusal,
}

"""The kinds of entities, written out, and the detectors that find a choice of them."""

from __future__ import annotations

from typing import Final

from santral.guardrails.entities.digits import Digits
from santral.guardrails.entities.email import Emails
from santral.guardrails.entities.entity import Detector
from santral.guardrails.entities.iban import Ibans
from santral.guardrails.entities.keys import key_detectors
from santral.guardrails.entities.passwords import NamedSecrets, UrlPasswords

PERSONAL: Final = ("email", "phone", "card", "tckn", "iban")
SECRETS: Final = ("api_key", "jwt", "token", "private_key", "password", "secret")


def detectors_of(kinds: frozenset[str], regions: tuple[str, ...]) -> tuple[Detector, ...]:
    """Return detectors for ``kinds`` (in capitals, as placeholders show them).

    A detector may find more kinds than asked for; the caller drops those.
    """
    everything: list[Detector] = [
        Emails(),
        Ibans(),
        Digits(kinds, regions),
        *key_detectors(),
        NamedSecrets(),
        UrlPasswords(),
    ]
    return tuple(d for d in everything if kinds.intersection(d.kinds))

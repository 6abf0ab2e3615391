"""Personal data: e-mail, telephone, payment card, T.C. kimlik no, IBAN."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from santral.guardrails.check import EntityCheck
from santral.guardrails.entities.detectors import PERSONAL


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``pii``: which kinds, and whose national telephone numbers."""

    entities: tuple[Literal["email", "phone", "card", "tckn", "iban"], ...] = PERSONAL
    phone_regions: tuple[str, ...] = ("TR", "US", "GB", "DE")


class Pii(EntityCheck):
    """Finds personal data; checksums decide where a kind has one."""

    Params: ClassVar[type[Struct]] = Params

    def __init__(self, params: Params) -> None:
        super().__init__(params.entities, params.phone_regions)

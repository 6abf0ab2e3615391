"""Secrets: keys of common vendors, tokens, private keys, passwords named as such."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from santral.guardrails.check import EntityCheck
from santral.guardrails.entities.detectors import SECRETS


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``secrets``: which kinds."""

    entities: tuple[
        Literal["api_key", "jwt", "token", "private_key", "password", "secret"], ...
    ] = SECRETS


class Secrets(EntityCheck):
    """Finds credentials by their form, or by the word that stands before them."""

    Params: ClassVar[type[Struct]] = Params

    def __init__(self, params: Params) -> None:
        super().__init__(params.entities)

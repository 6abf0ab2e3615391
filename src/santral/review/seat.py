"""What a process needs so that people can rate in it."""

from __future__ import annotations

from msgspec import Struct

from santral.db.engine import Engine
from santral.gateway.held.cabinet import HeldCabinet
from santral.review.rating.take import Chance
from santral.secrets.sealer import Sealer


class Seat(Struct, frozen=True):
    """Where somebody sits who rates, or keeps queues."""

    engine: Engine
    sealer: Sealer | None  # None where no master key is configured
    cabinet: HeldCabinet  # of answers that wait
    chance: Chance

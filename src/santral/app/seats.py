"""Where people sit who rate: in the control process, or at the command line."""

from __future__ import annotations

import random

from santral.app.jobs import sealer_of
from santral.app.reviewing import cabinet_of
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.review.seat import Seat


def seat_of(config: Config, engine: Engine) -> Seat:
    """Return where people rate in this process."""
    return Seat(engine, sealer_of(config, engine), cabinet_of(config), random.random)

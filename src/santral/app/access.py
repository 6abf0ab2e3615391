"""Who may call and how much, as the control database says: loaded whole, replaced when it changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.db.store import read_revision
from santral.errors import StoreError
from santral.quota.limit import LimitBook, Limits, Scope, limits_from
from santral.quota.store import limits_of, tokens_today
from santral.tenants.keyring import KeyRing
from santral.tenants.store import load_keyring

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """Keys and limits at one revision of the control database."""

    revision: int
    ring: KeyRing
    rows: Mapping[Scope, Limits]
    limits: LimitBook
    used_today: Mapping[Scope, int]

    @classmethod
    def empty(cls, config: Config) -> Access:
        return cls(-1, KeyRing((), ()), {}, LimitBook({}, limits_from(config.limits)), {})

    def with_defaults(self, config: Config) -> LimitBook:
        """Return the limits with the defaults of another configuration."""
        return LimitBook(self.rows, limits_from(config.limits))

    async def newer(self, engine: Engine, config: Config) -> Access | None:
        """Return what is in the database now if it changed; ``None`` also while it is down."""
        try:
            async with reading(engine) as conn:
                if await read_revision(conn) == self.revision:
                    return None
            return await load_access(engine, config)
        except StoreError as error:
            log.warning("access_not_refreshed", extra={"reason": error.message})
            return None


async def load_access(engine: Engine, config: Config) -> Access:
    """Load keys, limits and today's usage in one consistent read."""
    async with reading(engine) as conn:
        rows = await limits_of(conn)
        return Access(
            revision=await read_revision(conn),
            ring=await load_keyring(conn),
            rows=rows,
            limits=LimitBook(rows, limits_from(config.limits)),
            used_today=await tokens_today(conn, datetime.now(UTC).date()),
        )

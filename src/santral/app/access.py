"""Who may call and how much: a file that the parent process writes and its workers read.

Workers never open the control database: they start sooner, are 25 MB smaller, and go on with the
last file while the database is away. Source: docs/decisions/0009-access-file.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct, field

from santral.app.run_file import RunFileReader
from santral.config.schema import Config
from santral.errors import StoreError
from santral.quota.book import LimitBook
from santral.quota.claim import Seeds, Used
from santral.quota.limits import default_rules
from santral.quota.rule import Rule
from santral.tenants.keyring import KeyRing
from santral.tenants.tenant import Tenant, TenantId, VirtualKey
from santral.tenants.tree import TenantTree

ACCESS_FILE = "access.msgpack"
#: How long a starting child waits for its parent's first access file, and how often it looks, in
#: seconds. Chosen: a first migration takes a second or two.
ACCESS_WITHIN_S, _LOOK_S = 60.0, 0.02


class AccessRecord(Struct, frozen=True):
    """Everything that decides about access, at one revision of the control database."""

    revision: int
    read_at: float  # seconds since 1970: what was billed until then is in ``used``
    tenants: list[Tenant]
    keys: list[VirtualKey]
    parents: dict[str, str | None] = field(  # who is whose part, deleted tenants too
        default_factory=dict[str, str | None]
    )
    rules: list[Rule] = field(default_factory=list[Rule])
    used: dict[str, Used] = field(default_factory=dict[str, Used])  # by account


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AccessRecord).decode


def access_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / ACCESS_FILE


def write_access(path: Path, record: AccessRecord) -> None:
    """Replace the file whole; it holds digests of keys, never keys, and only its owner reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(f".{os.getpid()}")
    fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, _encode(record))
    finally:
        os.close(fd)
    making.replace(path)


async def wait_for_file(path: Path) -> None:
    """Wait for the parent's first access file: it comes when the database is migrated.

    Raises:
        StoreError: it did not come within ``ACCESS_WITHIN_S``.
    """
    for _ in range(int(ACCESS_WITHIN_S / _LOOK_S)):
        if path.exists():  # noqa: ASYNC240 - a look at a local file, before anyone is served
            return
        await asyncio.sleep(_LOOK_S)
    raise StoreError(
        f"{path} was not written within {ACCESS_WITHIN_S:g} s. See the log of the parent."
    )


@dataclass(frozen=True, slots=True)
class Access:
    """Keys and limits as a worker holds them."""

    ring: KeyRing
    rules: Sequence[Rule]
    tree: TenantTree
    used: Seeds
    read_at: float

    @classmethod
    def empty(cls) -> Access:
        return cls(KeyRing((), ()), (), TenantTree({}), {}, 0.0)

    def limits(self, config: Config) -> LimitBook:
        """Return the limits, those of the configuration where a tenant has none of its own."""
        return LimitBook([*self.rules, *default_rules(config.limits)], self.tree, self.used)


class AccessReader:
    """Reads the file again when it was replaced."""

    def __init__(self, path: Path) -> None:
        self._file = RunFileReader(path, _decode)

    def read(self) -> Access | None:
        """Return what the file says; see ``RunFileReader``."""
        record = self._file.read()
        return None if record is None else access_of(record)


def access_of(record: AccessRecord) -> Access:
    """Return what a worker makes of a record."""
    parents = {
        TenantId(tenant): None if parent is None else TenantId(parent)
        for tenant, parent in record.parents.items()
    }
    return Access(
        KeyRing(record.keys, record.tenants),
        record.rules,
        TenantTree(parents),
        record.used,
        record.read_at,
    )

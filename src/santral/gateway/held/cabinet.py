"""Where held answers lie, and beside them what was decided: files, of which each tenant has its own.

A decision is a file of its own, made once: the first reviewer's stands, and workers see it at once.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from santral.config.feedback import HeldConfig
from santral.errors import Conflict, StoreError
from santral.gateway.held.answer import (
    PREFIX,
    Decision,
    Held,
    decode_decision,
    decode_held,
    encode_decision,
    encode_held,
)
from santral.gateway.objects import Bounds, ObjectFolder, is_name

#: What their folders are called, below a tenant's.
HELD, DECIDED, WRITTEN = "held", "held-decided", "held-written"
_ID = re.compile(PREFIX + "[0-9a-f]{32}")


class HeldCabinet:
    """The held answers of all tenants; no id leads into another tenant's."""

    def __init__(self, objects: Path, wall: Callable[[], float]) -> None:
        self._root = objects
        self._wall = wall
        self._held = ObjectFolder(objects, HELD, wall)
        self._written = ObjectFolder(objects, WRITTEN, wall)

    async def put(self, held: Held, settings: HeldConfig) -> None:
        """Keep an answer, durably.

        Raises:
            TooLarge: it is over ``held.max_answer_bytes``.
            StoreError: the disk takes nothing.
        """
        await self._held.put(held.tenant_id, held.id, encode_held(held), bounds_of(settings))

    async def get(self, tenant_id: str, name: str, keep_s: float) -> Held | None:
        """Return an answer; None: unknown, another tenant's, or gone."""
        if not _ID.fullmatch(name):
            return None
        data = await self._held.get(tenant_id, name, keep_s)
        return None if data is None else read_held(data)

    async def decision(self, tenant_id: str, name: str) -> Decision | None:
        """Return what was decided; None where nobody has."""
        return await asyncio.to_thread(self._decision, tenant_id, name)

    async def decide(self, held: Held, decision: Decision) -> None:
        """Make a decision, once.

        Raises:
            Conflict: another one was there before.
            StoreError: the disk takes nothing.
        """
        await asyncio.to_thread(self._decide, held, decision)

    async def list(self, tenant_id: str) -> list[Held]:
        """Return everything that is kept of a tenant, the newest first."""
        found = await asyncio.to_thread(self._list, tenant_id)
        return sorted(found, key=lambda held: -held.held_at)

    async def tenants(self) -> list[str]:
        """Return the tenants of whom something is kept."""
        return await asyncio.to_thread(
            lambda: sorted(path.parent.name for path in self._root.glob(f"*/{HELD}"))
        )

    async def keep_written(
        self, tenant_id: str, name: str, body: bytes, settings: HeldConfig
    ) -> None:
        """Keep a released answer as its caller got it first: asked again it is the same."""
        await self._written.put(tenant_id, name, body, bounds_of(settings))

    async def written(self, tenant_id: str, name: str, keep_s: float) -> bytes | None:
        """Return a released answer as its caller got it; None where it was not fetched yet."""
        return await self._written.get(tenant_id, name, keep_s)

    async def sweep(self, settings: HeldConfig) -> None:
        """Remove what is over its time; raises StoreError."""
        for kind in (HELD, WRITTEN):
            await ObjectFolder(self._root, kind, self._wall).sweep(bounds_of(settings))
        await asyncio.to_thread(self._sweep_decided)

    def _decision(self, tenant_id: str, name: str) -> Decision | None:
        try:
            return decode_decision(self._place(tenant_id, name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"The decision about {name} cannot be read: {error}.") from None

    def _sweep_decided(self) -> None:
        """Remove decisions whose answers are gone; before that, a refused one would wait again."""
        try:
            for path in self._root.glob(f"*/{DECIDED}/*"):
                held = path.parent.with_name(HELD) / f"{path.name.partition('.')[0]}.json"
                if not held.exists():
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._root}: {error.strerror}.") from None

    def _decide(self, held: Held, decision: Decision) -> None:
        place = self._place(held.tenant_id, held.id)
        making = place.with_name(f"{place.name}.{os.urandom(8).hex()}.tmp")
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(encode_decision(decision))
                file.flush()
                os.fsync(descriptor)
            os.link(making, place)  # fails where one is there: the first one stands
        except FileExistsError:
            raise Conflict(
                f"{held.id} was decided before. Load it again to see how.", code="held_decided"
            ) from None
        except OSError as error:
            raise StoreError(f"{place.parent}: {error.strerror}.") from None
        finally:
            making.unlink(missing_ok=True)

    def _list(self, tenant_id: str) -> list[Held]:
        if not is_name(tenant_id):
            return []
        found: list[Held] = []
        for path in (self._root / tenant_id / HELD).glob(f"{PREFIX}*.json"):
            try:
                held = read_held(path.read_bytes())
            except FileNotFoundError:  # swept meanwhile
                continue
            except OSError as error:
                raise StoreError(f"{path}: {error.strerror}.") from None
            if held is not None:
                found.append(held)
        return found

    def _place(self, tenant_id: str, name: str) -> Path:
        if not (is_name(tenant_id) and _ID.fullmatch(name)):
            raise StoreError(f"'{name[:128]}' cannot be the name of a held answer.")
        return self._root / tenant_id / DECIDED / f"{name}.json"


def read_held(data: bytes) -> Held | None:
    """Return a kept answer; None where the file holds none."""
    try:
        return decode_held(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def bounds_of(settings: HeldConfig) -> Bounds:
    """Return how much one tenant may keep."""
    return Bounds(
        keep_s=settings.keep_days * 86_400,
        count=settings.max_per_tenant,
        size_bytes=settings.max_bytes_per_tenant,
        object_bytes=settings.max_answer_bytes,
    )

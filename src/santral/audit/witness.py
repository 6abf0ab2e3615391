"""What was seen of the log, kept outside the database: the newest number and hash, in files.

``newest.json`` is replaced whenever rows were added; ``seen.jsonl`` only grows, by a line every ten
minutes in which rows were added and one for each export. They show that rows were cut off the end,
or the chain was written anew. Whoever may write to the database and to this folder can undo both:
then only an export that lies elsewhere, or the event ``audit_seen`` in collected logs, tells.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from santral.audit import store
from santral.audit.entry import Link
from santral.db.engine import Connection, Engine, reading
from santral.errors import StoreError

log = logging.getLogger(__name__)

#: How often a line is added to what only grows. Chosen: 6 MB in a year at most.
LINE_EVERY = timedelta(minutes=10)
#: Longest pause while the database is away, in seconds. Chosen.
_MAX_PAUSE_S = 30.0


class Sighting(Struct, frozen=True):
    """One row as it was seen at a moment."""

    number: int
    hash: str
    seen_at: datetime

    @property
    def link(self) -> Link:
        """Its place in the chain."""
        return Link(self.number, self.hash)


class Witness:
    """The files of one data folder."""

    def __init__(
        self, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.newest_file = folder / "audit" / "newest.json"
        self.seen_file = folder / "audit" / "seen.jsonl"
        self._clock = clock
        self._newest: Link | None = None
        self._line_at: datetime | None = None

    async def run(
        self,
        engine: Engine,
        every_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look at the log every ``every_s`` seconds until cancelled."""
        pause = every_s
        while True:
            try:
                await self.look(engine)
                pause = every_s
            except (StoreError, OSError) as error:
                pause = min(_MAX_PAUSE_S, pause * 2)
                log.warning("audit_not_witnessed", extra={"error": str(error), "again_in_s": pause})
            await sleep(pause)

    async def look(self, engine: Engine) -> None:
        """Write down the newest row, where there is a newer one.

        What was seen last and is not there any more is kept in what only grows: whoever cuts rows off
        while this runs does not have the trace of them replaced.

        Raises:
            StoreError: the database does not answer, or a file cannot be read.
            OSError: the files cannot be written.
        """
        seen = self._newest or await asyncio.to_thread(self._seen_last)
        async with reading(engine) as conn:
            link = await store.last_link(conn)
            is_there = seen is None or await _is_there(conn, seen)
        if seen is not None and not is_there:
            await asyncio.to_thread(self.add, seen)
            log.error("audit_row_gone", extra={"number": seen.number, "hash": seen.hash})
        if link is not None and link != seen:
            await asyncio.to_thread(self._write, link)
        self._newest = link

    def add(self, link: Link) -> None:
        """Add a line about ``link``.

        Raises:
            OSError: the file cannot be written.
        """
        self._append(Sighting(link.number, link.hash, self._clock()))

    def sightings(self) -> list[Sighting]:
        """Return all that was seen; a line that a power cut tore is left out.

        Raises:
            StoreError: a file is there and cannot be read.
        """
        lines: list[bytes] = []
        for path in (self.seen_file, self.newest_file):
            try:
                lines += path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(f"{path} cannot be read: {error.strerror}.") from None
        return [sighting for line in lines if (sighting := _sighting(line)) is not None]

    def _seen_last(self) -> Link | None:
        """Return what an earlier process saw last."""
        try:
            sighting = _sighting(self.newest_file.read_bytes())
        except FileNotFoundError:
            return None
        return None if sighting is None else sighting.link

    def _write(self, link: Link) -> None:
        now = self._clock()
        sighting = Sighting(link.number, link.hash, now)
        self.newest_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        making = self.newest_file.with_suffix(f".{os.getpid()}")
        making.write_bytes(msgspec.json.encode(sighting) + b"\n")
        making.replace(self.newest_file)
        if self._line_at is None or now >= self._line_at + LINE_EVERY:
            self._append(sighting)
            self._line_at = now
            log.info("audit_seen", extra={"number": link.number, "hash": link.hash})

    def _append(self, sighting: Sighting) -> None:
        self.seen_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        fd = os.open(self.seen_file, flags, 0o600)
        try:
            os.write(fd, msgspec.json.encode(sighting) + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)


async def _is_there(conn: Connection, seen: Link) -> bool:
    """Whether a row that was seen still stands, or retention cut it."""
    if seen.number <= (await store.read_anchor(conn)).link.number:
        return True
    entry = await store.find_entry(conn, seen.number)
    return entry is not None and entry.hash == seen.hash


def _sighting(line: bytes) -> Sighting | None:
    try:
        return msgspec.json.decode(line, type=Sighting)
    except msgspec.DecodeError:
        return None

"""A disk without room, without inodes, and with room again: real small file systems in memory."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from tests.faults.left import Left, ids, run, stored_in
from tests.faults.scenarios import small
from tests.traces.conftest import build_record

from santral.db.engine import connect, sqlite_url
from santral.errors import StoreError
from santral.quota.ledger.write import write_ledger
from santral.traces.collector import Collector
from santral.traces.record import Payload, TraceRecord
from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore

PAGE = 4096
MEGABYTE = 1 << 20

Disk = Callable[..., Path]


class Clock:
    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Disk]:
    """Return a maker of file systems of ``size`` bytes and so many ``inodes``."""
    mounted: list[Path] = []

    def make(size: int, inodes: int = 0) -> Path:
        (place := tmp_path / "disk").mkdir()
        options = f"size={size},nr_inodes={inodes}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(place)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip("only root may mount; tests/traces/test_spool.py injects the same errors")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, free: int = 0) -> Path:
    """Fill a disk up to ``free`` bytes; remove what is returned to have room again."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        state = os.statvfs(disk)
        file.write(bytes(max(0, state.f_bavail * state.f_frsize - free)))
    return filler


def large(number: int) -> TraceRecord:
    """Return a record of three pages."""
    return build_record(number, payload=Payload(request="x" * 11_000, response="y"))


@pytest.mark.parametrize("free", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("is_begun", [True, False], ids=["in a frame", "in a header"])
def test_a_full_disk_costs_the_records_it_refused_and_no_other(
    disk: Disk,
    sqlite_template: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    free: int,
    is_begun: bool,
) -> None:
    place, clock = disk(256 * 1024), Clock()
    spool = Spool(place / "spool", "w0", MEGABYTE, clock=clock)
    kept = [number for number in range(2 * is_begun) if spool.append(large(number))]
    filler = fill(place, free * PAGE)
    with caplog.at_level(logging.WARNING, "santral.traces.spool"):
        for number in range(10, 30):
            if spool.append(large(number)):
                kept.append(number)
            clock.now += 1
        assert spool.dropped >= 18
        assert len(kept) >= 2 * is_begun + max(0, free - 1) // 3
        filler.unlink()
        clock.now += 1
        kept += [number for number in range(30, 33) if spool.append(large(number))]
    assert kept[-3:] == [30, 31, 32], "it goes on"
    assert (spool.received, spool.spooled) == (spool.spooled + spool.dropped, len(kept))
    assert spool.size_bytes <= MEGABYTE
    spool.close()
    said = [entry.message for entry in caplog.records]
    assert (said.count("spool_dropping"), said[-1]) == (
        said.count("spool_goes_on"),
        "spool_goes_on",
    )
    assert len(said) <= 4, "the log is not filled too"
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    (tmp_path / "spool").symlink_to(place / "spool")
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == ids(kept)
    assert (left.account.received, left.account.rejected) == (len(kept), 0)
    assert list((place / "spool").iterdir()) == []


def test_a_disk_without_inodes_takes_records_as_long_as_the_segment_lasts(disk: Disk) -> None:
    place, clock = disk(4 * MEGABYTE, inodes=12), Clock()
    spool = Spool(place / "spool", "w0", 64 * 1024, clock=clock)
    assert spool.append(small(0))
    number = 0
    while True:
        try:
            (place / f"file-{number}").touch()
        except OSError:
            break
        number += 1
    kept = sum(spool.append(small(number)) for number in range(1, 200))
    assert kept > 60, "one segment takes what four would have"
    assert len(segments(place / "spool")) == 1
    assert spool.size_bytes <= 64 * 1024
    assert spool.dropped == 199 - kept, "then its bound holds"
    (place / "file-0").unlink()
    clock.now += 1
    assert not spool.append(small(200)), (
        "the bound still holds, for the segment cannot be collected"
    )
    spool.close()
    [path] = segments(place / "spool")
    path.unlink()  # what a collector does
    clock.now += 1
    assert spool.append(small(201))


def test_a_store_on_a_full_disk_stores_everything_once_there_is_room(
    disk: Disk, sqlite_template: Path, tmp_path: Path
) -> None:
    place = disk(8 * MEGABYTE)
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    spool = Spool(tmp_path / "spool", "w0", 64 * MEGABYTE)
    for number in range(400):
        assert spool.append(large(number))
    spool.close()

    async def scenario() -> None:
        store = TraceStore(place / "t.duckdb")
        await store.open()
        filler = fill(place, 64 * 1024)
        collector = Collector(tmp_path / "spool", store)
        before = await collector.account()
        for _ in range(3):
            with pytest.raises(StoreError, match=r"no room left on its disk.*Free some"):
                await collector.collect_once()
            account = await collector.account()
            assert account.is_balanced
            assert (account.received, account.spooled) == (400, before.spooled)
        filler.unlink()
        await collector.collect_once()
        assert await stored_in(store) == ids(range(400))
        account = await collector.account()
        assert (account.stored, account.duplicate, account.spooled) == (400, 0, 0)
        await store.close()
        again = TraceStore(place / "t.duckdb")
        assert await stored_in(again) == ids(range(400)), "the file is whole"
        await again.close()

    run(scenario())


def test_a_ledger_on_a_full_disk_holds_the_checkpoint_back(
    disk: Disk, sqlite_template: Path, tmp_path: Path
) -> None:
    place = disk(4 * MEGABYTE)
    shutil.copy(sqlite_template, place / "santral.db")
    spool = Spool(tmp_path / "spool", "w0", MEGABYTE)
    for number in range(200):
        assert spool.append(small(number))
    spool.close()

    async def scenario() -> None:
        engine = connect(sqlite_url(place))

        async def bill(records: Sequence[TraceRecord]) -> None:
            await write_ledger(engine, records)

        store = TraceStore(tmp_path / "t.duckdb")
        collector = Collector(tmp_path / "spool", store, [bill])
        filler = fill(place, 16 * 1024)
        with pytest.raises(StoreError, match=r"no room left on its disk|that it has room"):
            await collector.collect_once()
        assert (await collector.account()).spooled == 200
        assert await stored_in(store) == []
        filler.unlink()
        assert (await collector.collect_once()).stored == 200
        await store.close()
        await engine.dispose()

    run(scenario())
    (tmp_path / "santral.db").symlink_to(place / "santral.db")
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == ids(range(200))

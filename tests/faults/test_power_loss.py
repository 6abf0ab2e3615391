"""What a power cut leaves, by a model of a disk that keeps only what it was asked to keep."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from tests.faults.left import MEMORY, ids, run, stored_in
from tests.faults.scenarios import BOUND, RECORDS, small

from santral.errors import StoreError
from santral.traces.collector import Collector
from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore


class Platter:
    """Follows what is synced: bytes of files by ``fdatasync``, names of a folder by its ``fsync``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes: dict[int, bytes] = {}  # by inode: what was synced of it
        self._names: dict[str, int] = {}  # what the folder's sync made durable

    @contextmanager
    def watching(self) -> Generator[None]:
        fdatasync, fsync = os.fdatasync, os.fsync

        def keep_bytes(fd: int) -> None:
            fdatasync(fd)
            inode = os.fstat(fd).st_ino
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
            self._bytes[inode] = path.read_bytes()

        def keep_names(fd: int) -> None:
            fsync(fd)
            if os.readlink(f"/proc/self/fd/{fd}") == str(self._folder):
                self._names = {path.name: path.stat().st_ino for path in self._folder.iterdir()}

        with (
            mock.patch("santral.traces.spool.os.fdatasync", keep_bytes),
            mock.patch("santral.traces.spool.os.fsync", keep_names),
        ):
            yield

    def after_the_cut(self, folder: Path) -> None:
        """Write what a power cut now would leave at least into ``folder``."""
        folder.mkdir()
        for name, inode in self._names.items():
            (folder / name).write_bytes(self._bytes.get(inode, b""))


async def collected(folder: Path) -> list[str]:
    store = TraceStore(MEMORY)
    collector = Collector(folder, store)
    await collector.collect_once()
    account = await collector.account()
    assert account.is_balanced
    assert (account.rejected, account.spooled) == (0, 0)
    found = await stored_in(store)
    await store.close()
    return found


def test_with_fsync_every_acknowledged_record_is_on_the_disk_at_every_moment(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "spool"
    platter = Platter(folder)
    with platter.watching():
        spool = Spool(folder, "w0", BOUND, fsync=True)
        for number in range(RECORDS):
            assert spool.append(small(number))
            platter.after_the_cut(left := tmp_path / f"left-{number}")

            async def check(left: Path = left, number: int = number) -> None:
                assert await collected(left) == ids(range(number + 1))

            run(check())
        assert len(segments(folder)) > 1
        assert spool.unsynced == 0


def test_without_fsync_a_power_cut_may_take_what_the_kernel_had_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    platter = Platter(folder)
    with platter.watching():
        spool = Spool(folder, "w0", BOUND)
        assert spool.append(small(1))
        platter.after_the_cut(left := tmp_path / "left")
    assert list(left.iterdir()) == [], "nothing was promised"


def test_a_disk_that_cannot_sync_is_told_and_the_record_is_kept_for_the_collector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The frame may have been read already: cutting it off would have the next one overlooked."""
    spool = Spool(tmp_path, "w0", BOUND, fsync=True)
    assert spool.append(small(0))

    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)

        def read_then_fail(fd: int) -> None:
            raise OSError(5, "Input/output error")

        with mock.patch("santral.traces.spool.os.fdatasync", read_then_fail):
            assert spool.append(small(1)), "it survives kill -9"
        await collector.collect_once()
        assert spool.append(small(2))
        spool.close()
        await collector.collect_once()
        account = await collector.account()
        assert (account.received, account.stored) == (3, 3)
        assert await stored_in(store) == ids(range(3))
        await store.close()

    run(scenario())
    assert (spool.spooled, spool.dropped, spool.unsynced) == (3, 0, 1)
    assert "spool_not_synced" in caplog.messages


def test_a_descriptor_that_fails_to_close_is_never_used_again(tmp_path: Path) -> None:
    """On network disks close reports late errors; the number may belong to a socket by then."""
    spool = Spool(tmp_path, "w0", BOUND)
    assert spool.append(small(0))
    close = os.close

    def fail(fd: int) -> None:
        close(fd)
        raise OSError(122, "Disk quota exceeded")

    with mock.patch("santral.traces.spool.os.close", fail):
        spool.close()
    with (tmp_path / "other").open("wb") as other:  # takes the free number
        assert spool.append(small(1))
        other.flush()
        assert (tmp_path / "other").stat().st_size == 0
    assert spool.spooled == 2


def test_a_disk_that_knows_no_locks_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    def refuse(fd: int, how: int) -> None:
        raise OSError(37, "No locks available")

    with (
        mock.patch("santral.traces.spool.fcntl.flock", refuse),
        pytest.raises(StoreError, match=r"cannot be locked: No locks available\. Put data\.folder"),
    ):
        Spool(tmp_path / "spool", "w0", BOUND)

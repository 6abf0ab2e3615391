"""Damaged segments and foreign files: what is lost is counted, the rest is found, nothing loops."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.faults.left import MEMORY, ids, run, stored_in
from tests.faults.scenarios import tiny

from santral.traces.account import Account
from santral.traces.collector import Collector
from santral.traces.metrics import Metrics
from santral.traces.record import decode_record
from santral.traces.segment import (
    HEADER_BYTES,
    SYNC_BYTES,
    pack_frame,
    read_frames,
    segment_header,
)
from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore

COUNT = 4
#: Where the version stands in the header: "santral-spool-1".
VERSION_AT = 14
LENGTH_AT = SYNC_BYTES + 4  # within a frame


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """Return a closed segment of four records."""
    spool = Spool(tmp_path / "spool", "w0", 1 << 20)
    assert all(spool.append(tiny(number)) for number in range(COUNT))
    spool.close()
    return segments(tmp_path / "spool")[0]


def ends(segment: Path) -> list[int]:
    frames = read_frames(segment)
    return [HEADER_BYTES, *(frames.offset for _ in frames)]


def read(segment: Path) -> tuple[list[str], int]:
    """Return the records of a finished segment, and how many more it must have held."""
    frames = read_frames(segment)
    found = [decode_record(body).request_id for body in frames]
    frames.give_tail_up()
    return found, frames.damaged


async def collect(folder: Path, passes: int = 2) -> tuple[list[str], Account]:
    store = TraceStore(MEMORY)
    collector = Collector(folder, store)
    for _ in range(passes):
        assert (await collector.account()).is_balanced
        await collector.collect_once()
    account = await collector.account()
    assert account.is_balanced
    assert account.spooled == 0
    found = await stored_in(store)
    await store.close()
    return found, account


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_changed_byte_costs_at_most_the_record_it_is_in_wherever_it_is(
    segment: Path, flip: int
) -> None:
    whole, stops = segment.read_bytes(), ends(segment)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= flip
        segment.write_bytes(damaged)
        found, lost = read(segment)
        hit = sum(at >= stop for stop in stops) - 1  # -1: the header
        others = [f"req_{number}" for number in range(COUNT) if number != hit]
        if at == VERSION_AT and 0x30 <= damaged[at] <= 0x39:
            assert (found, lost) == ([], 0), "a segment of another version is left whole"
        elif hit < 0 or found == ids(range(COUNT)):
            assert (found, lost) == (ids(range(COUNT)), 0), "a damaged header costs nothing"
        elif hit == COUNT - 1 and at - stops[hit] in range(LENGTH_AT, LENGTH_AT + 4) and not lost:
            assert found == others, "a last frame that seems longer than the file: a torn write"
        else:
            assert (found, lost) == (others, 1), at


def test_the_collector_counts_damage_and_finds_what_follows_it(segment: Path) -> None:
    whole, stops = segment.read_bytes(), ends(segment)
    for at in (3, 20, stops[0] + 2, stops[1] + 9, stops[2] + 17, stops[2] + 60, stops[4] - 1):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        segment.write_bytes(damaged)

        async def check(at: int = at) -> None:
            found, account = await collect(segment.parent)
            lost = int(at >= HEADER_BYTES)
            assert (account.received, account.stored, account.rejected) == (4, 4 - lost, lost)
            assert len(found) == 4 - lost
            assert segments(segment.parent) == []

        run(check())


def test_a_truncated_segment_holds_what_is_before_the_cut(segment: Path) -> None:
    whole, stops = segment.read_bytes(), ends(segment)
    for cut in range(0, len(whole), 7):
        segment.write_bytes(whole[:cut])
        found, lost = read(segment)
        assert (found, lost) == (ids(range(sum(cut >= stop for stop in stops[1:]))), 0)
    for cut in (0, 5, 20, HEADER_BYTES, stops[1] + 3, stops[3]):
        segment.write_bytes(whole[:cut])

        async def check(cut: int = cut) -> None:
            found, account = await collect(segment.parent)
            assert len(found) == account.received == sum(cut >= stop for stop in stops[1:])
            assert segments(segment.parent) == []

        run(check())


def test_zeros_that_a_power_cut_left_are_counted_and_passed_over(segment: Path) -> None:
    """ext4 and XFS may leave zeros where a file grew and its bytes were not written yet."""
    whole, stops = segment.read_bytes(), ends(segment)
    for cut in (*stops[:-1], *range(HEADER_BYTES + 1, len(whole), 41)):
        segment.write_bytes(whole[:cut] + bytes(len(whole) - cut))
        found, lost = read(segment)
        before = sum(cut >= stop for stop in stops[1:])
        assert (found, lost) == (ids(range(before)), 1)
    segment.write_bytes(bytes(len(whole)))
    assert not read_frames(segment).tail_bytes
    segment.write_bytes(whole[: stops[1]] + bytes(4096) + whole[stops[2] :])
    found, lost = read(segment)
    assert (found, lost) == (["req_0", "req_2", "req_3"], 1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_became_of_the_bytes_counts_never_go_back_and_no_record_is_made_up(
    segment: Path, data: st.DataObject
) -> None:
    whole = Path(f"{segment}.whole")
    if not whole.exists():
        shutil.copy(segment, whole)
    damaged = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(damaged))] * 2)))
        change = data.draw(st.sampled_from(["cut", "zero", "repeat", "noise"]))
        if change == "repeat":
            damaged[end:end] = damaged[at:end]
        else:
            size = end - at
            noise = data.draw(st.binary(max_size=40)) if change == "noise" else b""
            damaged[at:end] = bytes(size) if change == "zero" else noise
    segment.write_bytes(damaged)
    found, lost = read(segment)
    assert set(found) <= set(ids(range(COUNT)))
    assert found == sorted(set(found)), "no record twice, none before its time"
    assert 0 <= lost <= len(damaged)

    async def check() -> None:
        stored, account = await collect(segment.parent)
        assert stored == found
        assert account.received == len(found) + account.rejected

    run(check())


def test_a_segment_of_another_version_is_put_aside_whole(segment: Path) -> None:
    newer = segment.read_bytes().replace(b"santral-spool-1\n", b"santral-spool-2\n")
    segment.write_bytes(newer)

    async def check() -> None:
        found, account = await collect(segment.parent)
        assert (found, account.received) == ([], 0)
        [place] = segment.parent.iterdir()
        assert place.name == segment.with_suffix(".damaged").name
        assert place.read_bytes() == newer

    run(check())


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_link(path: Path) -> None:
    (target := path.with_name("target")).write_text("secret")
    path.symlink_to(target)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


def make_foreign(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 some archive" * 50)


MAKERS = [make_folder, make_pipe, make_socket, make_link, make_loop, make_foreign]


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_no_segment_is_put_aside_and_keeps_nothing_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    strange = folder / "w0-00000001-aaaaaaaa.spool"
    for _ in range(2):  # a second one of the same name has a place too
        make(strange)
        spool = Spool(folder, "w0", 1 << 20)  # a worker of that name starts beside it
        assert spool.append(tiny(1))
        spool.close()

        async def check() -> None:
            store, metrics = TraceStore(MEMORY), Metrics()
            collector = Collector(folder, store)
            collector.watch(metrics)
            assert (await collector.account()).spooled == 1
            assert (await collector.collect_once()).stored == 1
            assert (await collector.collect_once()).received == 0
            assert segments(folder) == []
            await store.close()

        run(check())
        (folder / "target").unlink(missing_ok=True)
    aside = sorted(p.name for p in folder.iterdir())
    assert aside == ["w0-00000001-aaaaaaaa.damaged", "w0-00000001-aaaaaaaa.damaged-1"]


def test_a_half_made_segment_that_is_a_folder_does_not_stop_a_worker(tmp_path: Path) -> None:
    (tmp_path / "w0-00000001-aaaaaaaa.making").mkdir()
    assert Spool(tmp_path, "w0", 1 << 20).append(tiny(1))


AS_NOBODY = """
import asyncio, logging, os, sys
from pathlib import Path
from santral.traces.collector import Collector
from santral.traces.metrics import Metrics
from santral.traces.store import TraceStore

async def main():
    folder = Path(sys.argv[1])
    store, metrics = TraceStore(Path(":memory:")), Metrics()
    collector = Collector(folder, store)
    collector.watch(metrics)
    for _ in range(3):
        done = await collector.collect_once()
        await collector._show()
        print(done.stored, len(list(folder.glob("*.spool"))), flush=True)
        print([line for line in metrics.render().splitlines() if line.startswith("santral_collector_unreadable")])
    input()
    print((await collector.collect_once()).stored)
    await store.close()

os.setuid(65534)
logging.basicConfig()
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_segment_that_may_not_be_read_waits_and_the_others_do_not(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    folder = tmp_path / "spool"
    for number, worker in enumerate(("w0", "w1")):
        spool = Spool(folder, worker, 1 << 20)
        assert spool.append(tiny(number))
        spool.close()
    folder.chmod(0o777)
    secret, open_to_all = segments(folder)
    secret.chmod(0)
    open_to_all.chmod(0o644)
    command = [sys.executable, "-c", AS_NOBODY, str(folder)]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as collector:
        assert collector.stdout is not None
        lines = [collector.stdout.readline().strip() for _ in range(6)]
        secret.chmod(0o644)
        out, logged = collector.communicate("\n", timeout=30)
    assert lines[::2] == ["1 1", "0 1", "0 1"], logged
    assert set(lines[1::2]) == {"['santral_collector_unreadable 1']"}
    assert out.split() == ["1"], "it is collected as soon as it may be read"
    assert logged.count("segment_unreadable") == 1, "said once, not at every pass"
    assert segments(folder) == []


def test_a_frame_whose_record_is_of_another_shape_is_counted(tmp_path: Path) -> None:
    deep = b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0"  # nested further than anything may be
    far = tiny(1)
    bodies = [deep, b"\xff", b"", b"\x90"]
    path = tmp_path / "w0-00000001-aaaaaaaa.spool"
    frames = [pack_frame(b"12345678", n + 1, body) for n, body in enumerate(bodies)]
    path.write_bytes(segment_header(b"12345678") + b"".join(frames))
    spool = Spool(tmp_path, "w1", 1 << 20)
    assert spool.append(far)
    spool.close()

    async def check() -> None:
        _, account = await collect(tmp_path)
        assert (account.received, account.stored, account.rejected) == (5, 1, 4)

    run(check())

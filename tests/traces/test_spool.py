from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from santral.errors import StoreError
from santral.traces.record import TraceRecord, decode_record
from santral.traces.segment import SUFFIX, Frames, is_active, read_frames
from santral.traces.spool import Spool

MEGABYTE = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_all(folder: Path) -> list[TraceRecord]:
    return [decode_record(body) for path in segments(folder) for body in read_frames(path)]


def test_what_was_appended_is_read_back_in_order(tmp_path: Path, make_record: Any) -> None:
    spool = Spool(tmp_path / "spool", "w0", MEGABYTE)
    records = [make_record(number) for number in range(20)]
    assert all(spool.append(record) for record in records)
    assert read_all(tmp_path / "spool") == records
    assert (spool.received, spool.spooled, spool.dropped) == (20, 20, 0)


def test_the_size_is_that_of_the_files(tmp_path: Path, make_record: Any) -> None:
    spool = Spool(tmp_path, "w0", 64 * 1024)
    while spool.append(make_record(spool.received)):
        assert spool.size_bytes == sum(path.stat().st_size for path in segments(tmp_path))
        assert spool.size_bytes <= 64 * 1024
    assert len(segments(tmp_path)) >= 4


def test_a_full_spool_drops_and_counts_until_something_was_collected(
    tmp_path: Path, make_record: Any
) -> None:
    clock = Clock()
    spool = Spool(tmp_path, "w0", 64 * 1024, clock=clock)
    number = 0
    while spool.append(make_record(number)):
        number += 1
    assert not spool.append(make_record(number))
    assert (spool.received, spool.spooled, spool.dropped) == (number + 2, number, 2)
    segments(tmp_path)[0].unlink()  # what a collector does
    assert not spool.append(make_record(number)), "the disk is not looked at for every record"
    clock.now += 1
    assert spool.append(make_record(number))
    assert spool.received == spool.spooled + spool.dropped


def test_workers_have_their_own_segments_and_bounds(tmp_path: Path, make_record: Any) -> None:
    first, second = Spool(tmp_path, "w0", 64 * 1024), Spool(tmp_path, "w0-1", 64 * 1024)
    while first.append(make_record(1)):
        pass
    assert second.append(make_record(2))
    assert Spool(tmp_path, "w0", 64 * 1024).size_bytes == first.size_bytes
    assert Spool(tmp_path, "w0-1", 64 * 1024).size_bytes == second.size_bytes


def test_a_worker_that_starts_again_never_reuses_a_name(tmp_path: Path, make_record: Any) -> None:
    for _ in range(3):
        spool = Spool(tmp_path, "w0", MEGABYTE)
        spool.append(make_record(1))
        spool.close()
        for path in segments(tmp_path)[:-1]:
            path.unlink()
    serials = [path.name.split("-")[1] for path in segments(tmp_path)]
    assert serials == ["00000003"]


@pytest.mark.parametrize("taken", [0, 1, 30, "error"])
def test_a_disk_that_is_full_costs_only_the_record_it_refused(
    tmp_path: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch, taken: int | str
) -> None:
    clock = Clock()
    spool = Spool(tmp_path, "w0", MEGABYTE, clock=clock)
    spool.append(make_record(1))
    write = os.write

    def refuse(fd: int, data: bytes) -> int:
        if taken == "error":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[: int(taken)])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        assert not spool.append(make_record(2))
    assert not spool.append(make_record(3)), "a broken disk is left alone for a moment"
    clock.now += 1
    assert spool.append(make_record(4))
    assert [record.request_id for record in read_all(tmp_path)] == ["req_1", "req_4"]
    assert (spool.received, spool.spooled, spool.dropped) == (4, 2, 2)


def test_a_record_that_cannot_be_written_down_is_dropped_and_not_raised(
    tmp_path: Path, make_record: Any
) -> None:
    spool = Spool(tmp_path, "w0", MEGABYTE)
    assert not spool.append(make_record(1, route="\ud800"))
    assert spool.append(make_record(2))
    assert spool.dropped == 1


def test_a_segment_is_active_until_its_worker_lets_go(tmp_path: Path, make_record: Any) -> None:
    spool = Spool(tmp_path, "w0", MEGABYTE, fsync=True)
    spool.append(make_record(1))
    assert is_active(segments(tmp_path)[0])
    spool.close()
    assert not is_active(segments(tmp_path)[0])


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"spool folder .* cannot be made.*data\.folder"):
        Spool(tmp_path / "file" / "spool", "w0", MEGABYTE)


def test_a_segment_left_half_made_is_removed(tmp_path: Path) -> None:
    left, other = tmp_path / "w0-00000001-aa.making", tmp_path / "w1-00000001-aa.making"
    left.touch()
    other.touch()
    Spool(tmp_path, "w0", MEGABYTE)
    assert not left.exists()
    assert other.exists()


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import build_record
from santral.traces.spool import Spool
spool = Spool(Path(sys.argv[1]), "w0", 512 * 1024 * 1024)
number = 0
while spool.append(build_record(number % 50, request_id=f"r{number}")):
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_a_killed_worker_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        for line in writer.stdout:
            acknowledged = int(line)
            if acknowledged == 300:
                writer.kill()  # SIGKILL, wherever it is; what it said before still comes
    [path] = segments(tmp_path)
    assert not is_active(path), "its death frees the lock"
    records = [decode_record(body) for body in read_frames(path)]
    assert len(records) in (acknowledged, acknowledged + 1)
    assert [record.request_id for record in records] == [f"r{n}" for n in range(len(records))]


def _spooled(folder: Path, make_record: Any, count: int = 5) -> tuple[Path, list[int]]:
    """Return a segment of ``count`` records and the offset after each."""
    spool = Spool(folder, "w0", MEGABYTE)
    for number in range(count):
        spool.append(make_record(number))
    spool.close()
    frames = read_frames(segments(folder)[0])
    return segments(folder)[0], [frames.offset for _ in frames]


def _ids(frames: Frames) -> list[str]:
    return [decode_record(body).request_id for body in frames]


def test_a_torn_tail_waits_until_it_is_whole(tmp_path: Path, make_record: Any) -> None:
    path, ends = _spooled(tmp_path, make_record)
    whole = path.read_bytes()
    for cut in range(ends[3] + 1, ends[4], 17):
        path.write_bytes(whole[:cut])
        frames = read_frames(path)
        assert _ids(frames) == ["req_0", "req_1", "req_2", "req_3"]
        assert (frames.offset, frames.damaged, frames.tail_bytes) == (ends[3], 0, cut - ends[3])
        path.write_bytes(whole)
        assert _ids(read_frames(path, frames.offset, frames.ordinal)) == ["req_4"]


def test_any_changed_byte_costs_exactly_the_frame_it_is_in(
    tmp_path: Path, make_record: Any
) -> None:
    path, ends = _spooled(tmp_path, make_record)
    whole = path.read_bytes()
    for at in range(ends[1], ends[2], 13):
        damaged = bytearray(whole)
        damaged[at] ^= 0x5A
        path.write_bytes(damaged)
        frames = read_frames(path)
        assert _ids(frames) == ["req_0", "req_1", "req_3", "req_4"]
        assert (frames.damaged, frames.tail_bytes) == (1, 0)


def test_a_lost_stretch_counts_every_frame_in_it(tmp_path: Path, make_record: Any) -> None:
    path, ends = _spooled(tmp_path, make_record)
    whole = path.read_bytes()
    path.write_bytes(whole[: ends[0] + 10] + whole[ends[2] + 10 :])
    frames = read_frames(path)
    assert _ids(frames) == ["req_0", "req_4"]
    assert frames.damaged == 3


def test_a_frame_hidden_in_a_prompt_is_not_found_after_damage(
    tmp_path: Path, make_record: Any
) -> None:
    path, _ = _spooled(tmp_path / "other", make_record)
    forged = path.read_bytes().decode("latin-1")  # whole frames of another segment, as a text
    spool = Spool(tmp_path / "spool", "w0", MEGABYTE)
    spool.append(make_record(1))
    spool.append(make_record(2, session=forged))
    spool.append(make_record(3))
    [path] = segments(tmp_path / "spool")
    data = bytearray(path.read_bytes())
    data[data.index(b"req_2")] ^= 1
    path.write_bytes(data)
    assert _ids(read_frames(path)) == ["req_1", "req_3"]


def test_a_file_that_is_no_segment_yields_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w0-00000001-aa.spool"
    path.write_bytes(b"not a segment at all, but some other file")
    frames = read_frames(path)
    assert list(frames) == []
    assert frames.tail_bytes > 0

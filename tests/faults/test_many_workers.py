"""Several workers of one machine, ids that are used twice, and workers that are gone."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.left import ALL, MEMORY, ids, is_once, run, stored_in
from tests.faults.scenarios import small, tiny

from santral.traces.collector import Collector
from santral.traces.segment import is_active
from santral.traces.spool import Spool, share_of
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore

MEGABYTE = 1 << 20

#: Spools records with numbers from a range as fast as it can, and says each that was acknowledged.
WORKER = """
import sys, time
from pathlib import Path
from tests.faults.scenarios import small
from santral.traces.spool import Spool
folder, worker, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
spool = Spool(folder, worker, 512 * 1024)
for number in range(first, first + int(sys.argv[4])):
    while not spool.append(small(number)):  # full: the collector makes room
        time.sleep(0.01)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
sys.stdout.write("done\\n")
sys.stdout.flush()
sys.stdin.read()
"""


class Worker:
    """A process that spools; what it said was acknowledged."""

    def __init__(self, folder: Path, worker_id: str, first: int, count: int) -> None:
        arguments = [str(folder), worker_id, str(first), str(count)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.acknowledged: list[int] = []
        self.is_done = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        self._reader.join(10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "done\n":
                self.is_done.set()
                return
            self.acknowledged.append(int(line))


@contextmanager
def working(*workers: Worker) -> Generator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()


def test_workers_that_spool_while_they_are_collected_and_killed_are_whole_at_every_look(
    tmp_path: Path,
) -> None:
    """w0 is there twice: its successor starts while it still writes. w2 is killed in the middle."""
    workers = [
        Worker(tmp_path, "w0", 0, 800),
        Worker(tmp_path, "w0", 10_000, 800),
        Worker(tmp_path, "w1", 20_000, 800),
        Worker(tmp_path, "w2", 30_000, 100_000),
    ]

    def acknowledged() -> int:
        return sum(len(worker.acknowledged) for worker in workers)

    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)
        looks = 0
        while not all(worker.is_done.is_set() for worker in workers[:3]):
            before = acknowledged()
            account = await collector.account()
            assert account.is_balanced
            assert before <= account.received
            await collector.collect_once()
            looks += 1
            if len(workers[3].acknowledged) > 200:
                workers[3].kill()
        workers[3].kill()
        await collector.collect_once()
        account = await collector.account()
        # Of the killed one, a record may be spooled that it had no time to tell of.
        assert account.received - acknowledged() in (0, 1)
        assert (account.rejected, account.duplicate, account.spooled) == (0, 0, 0)
        page = await store.list_traces(None, ALL, None, 200_000)
        stored = [trace.request_id for trace in page.traces]
        assert is_once(stored)
        assert {f"req_{n}" for worker in workers for n in worker.acknowledged} <= {*stored}
        assert looks >= 3
        await store.close()

    with working(*workers):
        run(scenario())


def test_segments_of_workers_that_are_gone_are_collected_and_count_for_nobody(
    tmp_path: Path,
) -> None:
    for number in range(4):  # serve --workers 4, once
        spool = Spool(tmp_path, f"w{number}", MEGABYTE)
        assert spool.append(small(number))
        spool.close()
    now = Spool(tmp_path, "w0", MEGABYTE)  # serve --workers 1, today
    assert now.size_bytes == segments(tmp_path)[0].stat().st_size

    async def scenario() -> None:
        store = TraceStore(MEMORY)
        await Collector(tmp_path, store).collect_once()
        assert await stored_in(store) == ids(range(4))
        assert segments(tmp_path) == []
        await store.close()

    run(scenario())


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_workers_of_a_machine_share_one_bound(tmp_path: Path, workers: int) -> None:
    bound = 256 * 1024
    spools = [Spool(tmp_path, f"w{n}", share_of(bound, workers)) for n in range(workers)]
    for spool in spools:
        while spool.append(tiny(spool.received)):
            pass
    on_disk = sum(path.stat().st_size for path in segments(tmp_path))
    assert bound * 0.9 < on_disk <= bound


def test_a_successor_that_starts_while_a_segment_is_made_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the half-made file of the living one for one that a dead process left."""
    old = Spool(tmp_path, "w0", MEGABYTE)
    lock, successors = fcntl.flock, iter(range(1))

    def locked(fd: int, how: int) -> None:
        for _ in successors:
            Spool(tmp_path, "w0", MEGABYTE)  # removes what is not locked yet
        lock(fd, how)

    with monkeypatch.context() as patch:
        patch.setattr("santral.traces.spool.fcntl.flock", locked)
        assert old.append(small(1))
    assert old.dropped == 0
    [path] = segments(tmp_path)
    assert is_active(path)


SIGNALLED = """
import signal, sys
from pathlib import Path
from tests.faults.scenarios import small
from santral.traces.spool import Spool
met = 0
def count(number, frame):
    global met
    met += 1
signal.signal(signal.SIGALRM, count)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
spool = Spool(Path(sys.argv[1]), "w0", 64 << 20, fsync=True)
number = 0
while met < 200 or number < 200:
    assert spool.append(small(number % 100)), number
    number += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(number, spool.spooled, spool.dropped, spool.unsynced)
"""


def test_signals_that_interrupt_system_calls_cost_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    number, spooled, dropped, unsynced = map(int, done.stdout.split())
    assert (spooled, dropped, unsynced) == (number, 0, 0)

    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)
        await collector.collect_once()
        account = await collector.account()
        assert (account.received, account.rejected) == (number, 0)
        await store.close()

    run(scenario())

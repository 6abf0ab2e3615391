"""kill -9 at every write boundary: nothing acknowledged is lost, nothing is stored or billed twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.faults.killed import Killer, Run
from tests.faults.left import MEMORY, Left, ids, is_once, run
from tests.faults.scenarios import BOUND, RECORDS, small

from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore

#: Hundreds of processes die here, each in its own database: minutes on a machine with other work.
pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

EITHER = pytest.mark.parametrize("is_torn", [False, True], ids=["before", "torn"])


def deaths(
    killer: Killer, scenario: str, template: Path, is_torn: bool
) -> Iterator[tuple[Run, Path]]:
    """Yield every run of ``scenario`` that was killed, and its folder; end after one that ended."""
    for at in count(1):
        folder = template.with_name(f"{scenario}-{at}")
        shutil.copytree(template, folder)
        done = killer.run(scenario, folder, at, is_torn)
        if done.was_killed:
            yield done, folder
        else:
            assert at == done.calls + 1
            return
        shutil.rmtree(folder)


@EITHER
def test_a_worker_killed_at_any_write_loses_nothing_it_acknowledged(
    killer: Killer, tmp_path: Path, sqlite_template: Path, is_torn: bool
) -> None:
    (template := tmp_path / "template").mkdir()
    shutil.copy(sqlite_template, template / "santral.db")
    met = 0
    for done, folder in deaths(killer, "worker", template, is_torn):
        met += 1
        told = [line.split() for line in done.said]
        tried = {int(number) for what, number in told if what == "try"}
        acknowledged = {int(number) for what, number in told if what == "ack"}
        again = Spool(folder / "spool", "w0", BOUND)  # the worker's next process
        assert again.append(small(RECORDS))
        again.close()

        left = Left(folder, TraceStore(MEMORY))
        run(left.collect())
        assert is_once(left.stored)
        assert set(ids(acknowledged | {RECORDS})) <= set(left.stored)
        assert set(left.stored) <= set(ids(tried | {RECORDS}))
        assert left.billed == left.stored
        assert (left.account.received, left.account.rejected) == (len(left.stored), 0)
        assert list((folder / "spool").iterdir()) == []
    assert met >= (15 if is_torn else 40)


@EITHER
def test_a_collector_killed_at_any_write_stores_and_bills_every_record_once(
    killer: Killer, tmp_path: Path, sqlite_template: Path, is_torn: bool
) -> None:
    """The calls are those of SQLite and DuckDB too: the databases die with the collector."""
    (template := tmp_path / "template").mkdir()
    shutil.copy(sqlite_template, template / "santral.db")
    expected = ids(range(3))

    async def prepare() -> None:
        store = TraceStore(template / "telemetry.duckdb")
        await store.open()
        await store.close()

    run(prepare())
    spool = Spool(template / "spool", "w0", BOUND // 2)
    assert all(spool.append(small(number)) for number in range(3))
    spool.close()
    assert len(segments(template / "spool")) == 2
    met = 0
    for done, folder in deaths(killer, "collector", template, is_torn):
        met += 1
        assert set(done.said) <= {"received 3"}, "the account is whole at every look"
        left = Left(folder, TraceStore(folder / "telemetry.duckdb"))
        run(left.collect())
        assert left.stored == left.billed == expected
        assert len(left.noted) == len({*left.noted}) == 3, "each masked something once"
        account = left.account
        assert (account.stored, account.duplicate, account.rejected) == (3, 0, 0)
        assert list((folder / "spool").iterdir()) == []
    assert met >= 30


@EITHER
def test_a_first_start_killed_at_any_write_is_no_obstacle_to_the_next(
    killer: Killer, tmp_path: Path, sqlite_template: Path, is_torn: bool
) -> None:
    (template := tmp_path / "template").mkdir()
    shutil.copy(sqlite_template, template / "santral.db")
    spool = Spool(template / "spool", "w0", BOUND)
    assert spool.append(small(1))
    spool.close()
    met = 0
    for _, folder in deaths(killer, "first_start", template, is_torn):
        met += 1
        left = Left(folder, TraceStore(folder / "telemetry.duckdb"))
        run(left.collect())
        assert left.stored == left.billed == ["req_1"]
    assert met >= 5

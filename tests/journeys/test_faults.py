"""Faults of disk, store, database and parent while applications ask: answers go on, records arrive."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from tests.db.postgres import require_postgres
from tests.faults.server import Mortal, mortal_postgres
from tests.journeys.conftest import Santral, wait_until

pytestmark = pytest.mark.journey


def number(santral: Santral, name: str, of: str) -> float:
    text = santral.get(f"{of}/metrics")[2].decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def stored(santral: Santral) -> float:
    return number(santral, 'santral_collector_records_total{state="stored"}', santral.control)


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """Return a spool folder on a disk of 256 kB, where ``own_santral`` will look for it."""
    place = tmp_path / "santral-0" / "santral-data" / "spool"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount; tests/traces/test_spool.py injects the same errors")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_requests_are_answered_while_the_disk_is_full_and_recorded_when_it_has_room(
    small_disk: Path, own_santral: Callable[..., Santral]
) -> None:
    santral = own_santral()
    assert santral.post(santral.chat("ok"))[0] == 200
    wait_until(lambda: stored(santral) == 1)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1024)):
                pass
        except OSError:
            pass
    assert [santral.post(santral.chat("ok"))[0] for _ in range(15)] == [200] * 15
    dropped = number(santral, "santral_spool_dropped_total", santral.gateway)
    spooled = number(santral, "santral_spool_spooled_total", santral.gateway)
    assert dropped >= 10
    assert spooled + dropped == 16
    filler.unlink()
    wait_until(lambda: santral.post(santral.chat("ok"))[1] and _grows(santral, spooled), 5)
    wait_until(
        lambda: stored(santral) == number(santral, "santral_spool_spooled_total", santral.gateway)
    )
    assert santral.logs().count("spool_dropping") == santral.logs().count("spool_goes_on") == 1


def _grows(santral: Santral, spooled: float) -> bool:
    return number(santral, "santral_spool_spooled_total", santral.gateway) > spooled


def test_a_damaged_trace_store_stops_neither_the_start_nor_the_answers(
    own_santral: Callable[..., Santral], tmp_path: Path
) -> None:
    data = tmp_path / "santral-0" / "santral-data"
    data.mkdir(parents=True)
    (data / "telemetry.duckdb").write_bytes(b"\0" * 50_000)
    santral = own_santral()
    assert santral.post(santral.chat("ok"))[0] == 200
    wait_until(lambda: "is damaged. Restore it from a backup" in santral.logs())
    assert santral.get(f"{santral.control}/health/live")[0] == 200
    assert santral.get(f"{santral.control}/api/traces", santral.admin_key)[0] == 503
    (data / "telemetry.duckdb").unlink()
    wait_until(lambda: stored(santral) == 1, 20)


@pytest.fixture
def postgres() -> Generator[Mortal]:
    require_postgres()
    with (
        tempfile.TemporaryDirectory(prefix="santral-pg-") as folder,
        mortal_postgres(Path(folder)) as server,
    ):
        yield server


@pytest.mark.postgres
def test_requests_are_answered_while_the_database_is_dead_and_billed_when_it_is_back(
    postgres: Mortal, own_santral: Callable[..., Santral]
) -> None:
    santral = own_santral('[database]\nurl = "env:DATABASE"\n', {"DATABASE": postgres.url})
    assert santral.post(santral.chat("ok"))[0] == 200
    wait_until(lambda: stored(santral) == 1)
    postgres.kill()
    assert [santral.post(santral.chat("ok"))[0] for _ in range(5)] == [200] * 5
    wait_until(lambda: number(santral, "santral_collector_waiting", santral.control) == 5)
    postgres.start()
    wait_until(lambda: stored(santral) == 6, 30)
    billed = asyncio.run(postgres.billed())
    assert len(billed) == len(set(billed)) == 6


def test_a_killed_parent_takes_nothing_with_it_and_its_successor_goes_on(
    own_santral: Callable[..., Santral],
) -> None:
    santral = own_santral()
    assert [santral.post(santral.chat("ok"))[0] for _ in range(5)] == [200] * 5
    orphans = [*santral.children("gateway"), *santral.children("control")]
    assert len(orphans) >= 2
    os.kill(santral.process.pid, signal.SIGKILL)
    santral.process.wait(10)
    assert santral.process.stdout is not None
    santral.process.stdout.close()
    wait_until(lambda: not any(_is_alive(pid) for pid in orphans), 40)
    santral.log.close()
    santral.start()
    assert santral.post(santral.chat("ok"))[0] == 200
    wait_until(lambda: stored(santral) == 6)


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False

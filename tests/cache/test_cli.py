"""``santral cache`` against a data folder, as a person would use it; and the files behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cache.answers import Clock, answer
from typer.testing import CliRunner

from santral.cache.caches import Caches
from santral.cache.cli import cache_app
from santral.cache.notes import measured, notes_folder, read_notes
from santral.cache.shadow import Measured
from santral.cache.switch import KillSwitch, kill, kill_file, killed_keys, unkill
from santral.config.caching import CacheStoreConfig
from santral.errors import BadRequest, NotFound, StoreError

KEY = b"\xab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "santral.toml").write_text('[data]\nfolder = "data"\n')
    return tmp_path


def run(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(cache_app, [*words, "--config", str(folder / "santral.toml")])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def make_caches(folder: Path, clock: Clock, worker: str = "w0") -> Caches:
    return Caches(CacheStoreConfig(), folder / "data", worker, clock, lambda: 1.9e9)


def noted(caches: Caches, clock: Clock) -> None:
    clock.now += 5
    caches.refresh(caches.notes_due())


def test_entries_are_listed_killed_and_allowed_again(folder: Path) -> None:
    clock = Clock()
    caches = make_caches(folder, clock)
    caches.tiers.put(KEY, answer("secret words"), 60)
    noted(caches, clock)
    listed = run(folder, "list")
    assert KEY.hex() in listed
    assert "secret" not in listed
    run(folder, "kill", KEY.hex()[:12])
    assert "killed" in run(folder, "list")
    caches.refresh(None)
    assert not caches.switch.is_alive(KEY)
    assert caches.switch.is_alive(b"\xcd" * 32)
    run(folder, "unkill", KEY.hex()[:12])
    caches.refresh(None)
    assert caches.switch.is_alive(KEY)
    with pytest.raises(NotFound, match="is not killed"):
        run(folder, "unkill", KEY.hex()[:12])


def test_counters_are_shown_by_worker(folder: Path) -> None:
    clock = Clock()
    caches = make_caches(folder, clock)
    assert "No worker" in run(folder, "stats")
    caches.tiers.put(KEY, answer(), 60)
    noted(caches, clock)
    assert "w0\tmemory_entries\t1" in run(folder, "stats")
    assert caches.notes_due() is None, "nothing has changed"


@pytest.mark.parametrize(
    ("seen", "advice"),
    [
        (Measured(lookups=900, candidates=400), "may serve"),
        (Measured(lookups=900, candidates=50, disagreed=1), "keep measuring"),
        (Measured(lookups=900, candidates=400, disagreed=60), "do not serve"),
    ],
)
def test_shadow_counts_of_all_workers_lead_to_advice(
    folder: Path, seen: Measured, advice: str
) -> None:
    clock = Clock()
    assert "Nothing was measured" in run(folder, "shadow-report")
    for number, worker in enumerate(("w0", "w1")):
        caches = make_caches(folder, clock, worker)
        if number:
            caches.shadow.counts["acme", "support"] = seen
        else:
            caches.shadow.looked_up("acme", "support")
        noted(caches, clock)
    report = run(folder, "shadow-report")
    assert advice in report
    assert "901" in report
    again = make_caches(folder, clock, "w1")
    assert again.shadow.counts["acme", "support"] == seen, "a restart loses nothing"


def test_notes_that_are_torn_are_left_out(folder: Path) -> None:
    where = notes_folder(folder / "data")
    where.mkdir(parents=True)
    (where / "w9.json").write_bytes(b'{"worker":')
    assert measured(read_notes(where)) == {}


def test_a_worker_without_a_disk_goes_on(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    caches = make_caches(folder, clock)
    (folder / "data").write_text("not a folder")
    caches.tiers.put(KEY, answer(), 60)
    noted(caches, clock)
    assert [record.message for record in caplog.records] == ["cache_notes_not_written"]


@pytest.mark.parametrize("key", ["", "abc", "xyzxyzxyz", "../../etc/passwd", "a" * 65])
def test_what_is_no_key_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadRequest, match="not the key"):
        kill(tmp_path / "killed", key)


def test_the_switch_follows_its_file(tmp_path: Path) -> None:
    file = kill_file(tmp_path)
    switch = KillSwitch(file)
    assert not switch.refresh()
    kill(file, "ABABABAB")
    kill(file, "abababab")
    assert killed_keys(file) == ["abababab"]
    assert switch.refresh()
    assert not switch.refresh(), "read once"
    assert not switch.is_alive(KEY)
    assert not unkill(file, "cdcdcdcd")
    file.unlink()
    assert switch.refresh()
    assert switch.is_alive(KEY)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match="cannot be"):
        kill(kill_file(tmp_path), "abababab")

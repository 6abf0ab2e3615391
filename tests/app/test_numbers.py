"""The numbers of all processes are one, and no counter goes backwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from santral.app.numbers import SharedNumbers, begin, move_over, numbers_folder
from santral.traces.metrics import Metrics


class Process:
    """One worker: its metrics, and what it leaves."""

    def __init__(self, folder: Path, name: str) -> None:
        self.metrics = Metrics()
        self.shared = SharedNumbers(folder, name, self.metrics)

    def serve(self, count: int) -> None:
        self.metrics["santral_requests_total"].child("r", "200", "chat").inc(count)
        for _ in range(count):
            self.metrics["santral_ttft_seconds"].histogram("r").observe(0.3)

    def shown(self) -> dict[str, float]:
        text = asyncio.run(self.shared.render())
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}


REQUESTS = 'santral_requests_total{route="r",status="200",dialect="chat"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    begin(tmp_path)
    return tmp_path


def test_counters_and_histograms_are_summed(folder: Path) -> None:
    one, other = Process(folder, "w0-1"), Process(folder, "w1-2")
    one.serve(3)
    other.serve(4)
    other.shared.leave()
    shown = one.shown()
    assert shown[REQUESTS] == 7
    assert shown['santral_ttft_seconds_count{route="r"}'] == 7
    assert shown['santral_ttft_seconds_sum{route="r"}'] == pytest.approx(2.1)
    assert shown['santral_ttft_seconds_bucket{route="r",le="0.5"}'] == 7
    assert other.shown() == shown, "whoever is asked says the same"


def test_gauges_become_one_by_what_they_mean(folder: Path) -> None:
    processes = [Process(folder, f"w{number}-9") for number in range(3)]
    for number, process in enumerate(processes):
        process.metrics["santral_in_flight"].child().set(number + 1)
        process.metrics["santral_breaker_state"].child("d").set((0, 2, 1)[number])
        process.metrics["santral_config_generation"].child().set((5, 5, 4)[number])
        process.shared.leave()
    shown = processes[0].shown()
    assert shown["santral_in_flight"] == 6
    assert shown['santral_breaker_state{deployment="d"}'] == 2, "the worst that any sees"
    assert shown["santral_config_generation"] == 4, "what all have"


def test_what_was_shown_outlives_a_kill(folder: Path) -> None:
    victim, other = Process(folder, "w0-1"), Process(folder, "w1-2")
    victim.serve(10)
    victim.metrics["santral_in_flight"].child().set(3)
    shown = victim.shown()  # asked, then killed at once: it left nothing of its own accord
    assert other.shown()[REQUESTS] == shown[REQUESTS] == 10
    move_over(folder, "w0-1")
    after = other.shown()
    assert after[REQUESTS] == 10
    assert after["santral_in_flight"] == 0, "what it had under way is no more"
    again = Process(folder, "w0-3")
    again.serve(1)
    assert again.shown()[REQUESTS] == 11


def test_many_ends_are_counted_once_each(folder: Path) -> None:
    watcher, last = Process(folder, "watcher"), 0.0
    for number in range(100):
        worker = Process(folder, f"w0-{number}")
        worker.serve(1)
        worker.shared.leave()
        assert watcher.shown()[REQUESTS] >= last
        move_over(folder, f"w0-{number}")
        last = watcher.shown()[REQUESTS]
        assert last == number + 1
    assert len(list(numbers_folder(folder).glob("w0-*"))) == 0


def test_one_who_read_before_an_end_and_after_it_counts_it_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, worker = Process(folder, "watcher"), Process(folder, "w0-1")
    worker.serve(5)
    worker.shared.leave()
    read = Path.read_bytes

    def read_then_end(self: Path) -> bytes:
        data = read(self)
        if self.stem == "w0-1":
            monkeypatch.setattr(Path, "read_bytes", read)
            move_over(folder, "w0-1")
        return data

    monkeypatch.setattr(Path, "read_bytes", read_then_end)
    assert watcher.shown()[REQUESTS] == 5


def test_older_numbers_do_not_replace_newer_ones(folder: Path) -> None:
    worker = Process(folder, "w0-1")
    older = worker.shared._take()
    worker.serve(5)
    assert worker.shown()[REQUESTS] == 5
    worker.shared._leave(*older)  # a thread that was slow
    assert Process(folder, "other").shown()[REQUESTS] == 5


def test_a_new_run_begins_at_zero_and_damage_is_left_out(folder: Path) -> None:
    worker = Process(folder, "w0-1")
    worker.serve(5)
    worker.shared.leave()
    (numbers_folder(folder) / "w1-2.msgpack").write_bytes(b"\xc1 no numbers")
    assert worker.shown()[REQUESTS] == 5
    begin(folder)
    assert REQUESTS not in Process(folder, "w0-3").shown()

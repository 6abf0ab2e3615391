"""Configuration reloads whole or not at all, in all workers or in none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from santral.app import refresh
from santral.app.channel import Message
from santral.app.refresh import Follower, Rounds, changed_without_restart, mark, stamp
from santral.config.load import LoadedConfig, load
from santral.errors import ConfigError

ROUTE = "[routes.a]\nladder = [{ deployments = { extractive = 1 } }]\n"


class Worker:
    """A worker's side, with a compiler that can be told to refuse."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self.used: list[str] = []
        self.generation = 1
        self.refuses = self.is_silent = False
        self.follower = Follower(loaded, self._compile, self._use, self._number)

    def _compile(self, loaded: LoadedConfig) -> str:
        if self.refuses:
            raise ConfigError("a policy cannot be compiled")
        return loaded.digest

    def _use(self, loaded: LoadedConfig, compiled: str) -> None:
        assert compiled == loaded.digest
        self.used.append(compiled)

    def _number(self, generation: int) -> None:
        self.generation = generation


class Machine:
    """A parent and its workers; what they say arrives at once."""

    def __init__(self, file: Path, workers: int = 2) -> None:
        self.now = 0.0
        loaded = load(file, {})
        self.rounds = Rounds(loaded, lambda: self.now)
        self.workers = {number: Worker(loaded) for number in range(workers)}

    def look(self, times: int = 6) -> None:
        for _ in range(times):
            self.now += 0.25
            self.rounds.tick({number: self._tell(number) for number in self.workers})

    def _tell(self, number: int) -> Callable[[Message], None]:
        def tell(message: Message) -> None:
            worker = self.workers[number]
            if not worker.is_silent:
                worker.follower.take(message, lambda answer: self.rounds.heard(number, answer))

        return tell


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("SANTRAL_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "santral.toml"
    path.write_text("")
    return path


def test_a_good_change_comes_into_force_everywhere(file: Path) -> None:
    machine = Machine(file)
    machine.look()
    assert machine.rounds.generation == 1
    file.write_text(ROUTE)
    machine.look()
    digest = load(file, {}).digest
    assert [worker.used for worker in machine.workers.values()] == [[digest], [digest]]
    assert [worker.generation for worker in machine.workers.values()] == [2, 2]
    assert machine.rounds.generation == 2
    machine.look(20)
    assert machine.rounds.generation == 2, "once for each change"


@pytest.mark.parametrize("text", ["[server]\nprot = 1\n", "[server]\nport = 9\n", "= broken"])
def test_a_bad_change_is_refused_counted_and_changes_nothing(file: Path, text: str) -> None:
    machine = Machine(file)
    file.write_text(text)
    machine.look()
    assert all(not worker.used for worker in machine.workers.values())
    assert (machine.rounds.refusals, machine.rounds.generation) == (1, 1)
    machine.look(20)
    assert machine.rounds.refusals == 1, "told once"
    file.write_text(ROUTE)
    machine.look()
    assert machine.rounds.generation == 2, "the next good one comes into force"


def test_what_one_worker_cannot_use_is_used_by_none(file: Path) -> None:
    machine = Machine(file, 3)
    machine.workers[1].refuses = True
    file.write_text(ROUTE)
    machine.look()
    assert all(not worker.used for worker in machine.workers.values())
    assert machine.rounds.refusals == 1
    machine.workers[1].refuses = False
    machine.rounds.ask()
    machine.look()
    assert all(len(worker.used) == 1 for worker in machine.workers.values())


def test_a_worker_that_does_not_answer_stops_a_change_for_a_bounded_time(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(file)
    machine.workers[0].is_silent = True
    file.write_text(ROUTE)
    machine.look()
    assert machine.rounds.refusals == 0
    machine.now += refresh.COMPILE_WITHIN_S
    machine.look()
    assert machine.rounds.refusals == 1
    assert not machine.workers[1].used


def test_a_worker_that_dies_meanwhile_stops_no_change(file: Path) -> None:
    machine = Machine(file)
    machine.workers[0].is_silent = True
    file.write_text(ROUTE)
    machine.look()
    del machine.workers[0]
    machine.look()
    assert len(machine.workers[1].used) == 1


def test_files_that_change_while_they_are_read_are_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(file)
    worker = machine.workers[0]
    original = worker.follower._prepare

    def write_first(wish: Any) -> Any:
        monkeypatch.setattr(worker.follower, "_prepare", original)
        file.write_text(ROUTE + "[routes.b]\nladder = [{ deployments = { extractive = 1 } }]\n")
        return original(wish)

    monkeypatch.setattr(worker.follower, "_prepare", write_first)
    file.write_text(ROUTE)
    machine.look(12)
    digest = load(file, {}).digest
    assert [worker.used for worker in machine.workers.values()] == [[digest], [digest]]
    assert machine.rounds.refusals == 0


def test_a_worker_that_began_with_other_files_is_brought_in_line(file: Path) -> None:
    machine = Machine(file)
    welcome = machine.rounds.welcome(mark(load(file, {})))
    assert welcome is not None
    assert welcome.generation == 1
    assert machine.rounds.welcome("of other files") is None
    machine.look()
    assert [worker.generation for worker in machine.workers.values()] == [2, 2]


def test_the_number_goes_on_over_a_restart(file: Path) -> None:
    loaded = load(file, {})
    assert Rounds(loaded, lambda: 0.0, (7, mark(loaded))).generation == 7
    assert Rounds(loaded, lambda: 0.0, (7, "of an older file")).generation == 8


def test_sections_that_need_a_restart_are_named(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text("")
    new.write_text(ROUTE + "[server]\nport = 9\n[telemetry]\nspool_fsync = true\n")
    changed = changed_without_restart(load(old, {}).config, load(new, {}).config)
    assert changed == ["server", "telemetry"]


def test_the_stamp_changes_with_files_inside_folders(tmp_path: Path) -> None:
    before = stamp([tmp_path])
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a.md").write_text("x")
    assert stamp([tmp_path]) != before
    assert stamp([tmp_path]) == stamp([tmp_path])
    assert stamp([tmp_path / "nothing"]) == ()

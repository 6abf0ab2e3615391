"""The parent restarts what dies, gives up what cannot start, and stops everything in order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from santral.app import supervise
from santral.app.supervise import Child, Supervisor

#: What the fake children do, by role; each notes its start and its orderly end.
PROGRAMS = {
    "steady": "wait()",
    "stubborn": "signal.signal(signal.SIGTERM, signal.SIG_IGN); note('ready'); wait()",
    "broken": "sys.exit(2)",
    "frail": "sys.exit(1)",
}
HEAD = """
import os, signal, sys, time
role, log = sys.argv[1:3]
def note(what):
    with open(log, "a") as file:
        file.write(f"{role} {what}\\n")
def end(number, frame):
    note("end")
    os._exit(0)
def wait():
    while True:
        time.sleep(0.01)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, lambda number, frame: note("reload"))
note("start")
"""


class Beside:
    """Runs a step of the test at every tick; stops the supervisor when the last is done."""

    def __init__(self, *steps: Callable[[], bool], is_up: bool = True) -> None:
        self.steps = list(steps)
        self.is_up = is_up
        self.said: list[str] = []
        self.until = time.monotonic() + 20

    def begin(self) -> None:
        self.said.append("begin")

    def tick(self) -> bool:
        assert time.monotonic() < self.until, "nothing happens any more"
        if self.steps and self.steps[0]():
            self.steps.pop(0)
        if not self.steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.is_up

    def is_first_up(self) -> bool:
        return True

    def end(self) -> None:
        self.said.append("end")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let children be small programs that write to this file, and time run fast."""
    path = tmp_path / "log"
    path.touch()

    def start(self: Child) -> None:
        program = HEAD + PROGRAMS[self.arguments[0]]
        command = [sys.executable, "-S", "-c", program, self.role, str(path)]
        self.process = subprocess.Popen(command, start_new_session=True)
        self.started_at = time.monotonic()

    monkeypatch.setattr(Child, "start", start)
    monkeypatch.setattr(supervise, "_TICK_S", 0.005)
    monkeypatch.setattr(supervise, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(supervise, "MOST_BACKOFF_S", 0.05)
    monkeypatch.setattr(supervise, "KILL_AFTER_S", 0.1)
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    assert threading.current_thread() is threading.main_thread()
    yield path
    for number, handler in before.items():
        signal.signal(number, handler)


def child(role: str, program: str = "steady") -> Child:
    return Child(role, [program], ())


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines()


def started(log: Path, *roles: str) -> Callable[[], bool]:
    return lambda: {f"{role} start" for role in roles} <= set(lines(log))


def run(children: list[Child], beside: Beside, drain_s: float = 5.0) -> int:
    try:
        return Supervisor(children, drain_s).run(beside)
    finally:
        for each in children:
            if each.process is not None and each.process.poll() is None:
                each.process.kill()
                each.process.wait()
                raise AssertionError(f"{each.role} was left behind")


def test_children_are_stopped_in_order_and_the_end_is_good(log: Path) -> None:
    beside = Beside(started(log, "gateway", "control"))
    assert run([child("gateway"), child("control")], beside) == 0
    assert beside.said == ["begin", "end"]
    assert lines(log)[-2:] == ["gateway end", "control end"]


def test_a_child_that_dies_is_started_again(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    gateway, control = child("gateway"), child("control")

    def kill() -> bool:
        assert gateway.process is not None
        gateway.process.kill()
        return True

    again = Beside(
        started(log, "gateway", "control"), kill, lambda: lines(log).count("gateway start") == 2
    )
    assert run([gateway, control], again) == 0
    assert lines(log).count("control start") == 1, "the other one goes on"
    died = next(record for record in caplog.records if record.message == "process_died")
    assert vars(died)["role"] == "gateway"
    assert vars(died)["status"] == -signal.SIGKILL


def test_restarts_wait_longer_each_time_up_to_a_bound(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    frail = child("gateway", "frail")
    assert run([frail], Beside(lambda: lines(log).count("gateway start") >= 5)) == 0
    waits = [vars(r)["restart_in_s"] for r in caplog.records if r.message == "process_died"]
    assert waits[:4] == [0.02, 0.04, 0.05, 0.05]


def test_a_child_that_was_steady_begins_to_count_anew(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervise, "STEADY_AFTER_S", -1.0)
    frail = child("gateway", "frail")
    assert run([frail], Beside(lambda: lines(log).count("gateway start") >= 4)) == 0
    waits = {vars(r)["restart_in_s"] for r in caplog.records if r.message == "process_died"}
    assert waits == {0.02}


@pytest.mark.parametrize(("program", "starts"), [("broken", 1), ("frail", 5)])
def test_a_start_that_cannot_succeed_is_given_up(
    log: Path, caplog: pytest.LogCaptureFixture, program: str, starts: int
) -> None:
    never = Beside(lambda: False, is_up=False)
    assert run([child("gateway", program), child("control")], never) == 1
    assert lines(log).count("gateway start") == starts
    assert "process_gave_up" in caplog.text
    assert never.said == ["begin", "end"]


def test_what_was_up_once_is_not_given_up(log: Path) -> None:
    broken = child("gateway", "broken")
    assert run([broken], Beside(lambda: lines(log).count("gateway start") >= 3)) == 0


def test_what_does_not_stop_is_killed(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    ready = Beside(started(log, "control"), lambda: "gateway ready" in lines(log))
    assert run([child("gateway", "stubborn"), child("control")], ready, drain_s=0.1) == 0
    assert "process_killed" in caplog.text
    assert lines(log)[-1] == "control end", "the others are stopped all the same"


def test_a_reload_reaches_the_gateway_alone(log: Path) -> None:
    def ask() -> bool:
        os.kill(os.getpid(), signal.SIGHUP)
        return True

    beside = Beside(started(log, "gateway", "control"), ask, lambda: "gateway reload" in lines(log))
    assert run([child("gateway"), child("control")], beside) == 0
    assert "control reload" not in lines(log)


def test_children_are_stopped_when_the_parents_own_work_fails(log: Path) -> None:
    class Failing(Beside):
        def begin(self) -> None:
            while not started(log, "gateway")():
                time.sleep(0.01)
            raise OSError("the disk is full")

    beside = Failing()
    with pytest.raises(OSError, match="the disk is full"):
        run([child("gateway")], beside)
    assert lines(log)[-1] == "gateway end"
    assert beside.said == ["end"]


@pytest.mark.parametrize("apart_s", [0.05, 60.0])
def test_the_others_start_when_the_first_is_up_or_has_had_its_time(
    log: Path, monkeypatch: pytest.MonkeyPatch, apart_s: float
) -> None:
    class Patient(Beside):
        def is_first_up(self) -> bool:
            if apart_s == 60.0 and "gateway ready" in lines(log):
                return True
            assert apart_s != 60.0 or "control start" not in lines(log)
            return False

    monkeypatch.setattr(supervise, "APART_S", apart_s)
    program = "stubborn" if apart_s == 60.0 else "steady"  # it says when it is ready
    children = [child("gateway", program), child("control")]
    assert run(children, Patient(started(log, "gateway", "control")), drain_s=0.1) == 0
    assert lines(log).index("gateway start") < lines(log).index("control start")


def test_the_command_line_is_santrals_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: seen.extend([a[0], k]))
    Child("gateway", ["--socket", "3"], (3,)).start()
    assert seen == [
        [sys.executable, "-m", "santral.app.child", "--role", "gateway", "--socket", "3"],
        {"pass_fds": (3,), "start_new_session": True},
    ]

"""The parent restarts what dies or hangs, replaces what runs, gives up what cannot start, stops in order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from santral.app import supervise
from santral.app.channel import Channel, Message, pair
from santral.app.post import Child, Post
from santral.app.supervise import Supervisor

#: What the fake children do; each notes its start and its end, and says when it is ready.
PROGRAMS = {
    "steady": "ready(); beat()",
    "stubborn": "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); beat()",
    "mute": "ready(); wait()",
    "never-ready": "wait()",
    "broken": "sys.exit(2)",
    "frail": "sys.exit(1)",
}
HEAD = """
import os, select, signal, socket, sys, time
role, number, log, fd = sys.argv[1:5]
line = socket.socket(fileno=int(fd))
def note(what):
    with open(log, "a") as file:
        file.write(f"{role}{number} {what}\\n")
def end(number, frame):
    note("end")
    os._exit(0)
def ready():
    note("ready")
    line.send(b'{"type":"ready"}')
def wait():
    while True:
        time.sleep(0.01)
def beat():
    while True:
        line.send(b'{"type":"beat"}')
        if select.select([line], [], [], 0.02)[0] and b"retire" in line.recv(1000):
            note("retired")
            sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("start")
"""


class Beside:
    """Runs a step of the test at every look; stops the supervisor when the last is done."""

    def __init__(self, *steps: Callable[[], bool]) -> None:
        self.steps = list(steps)
        self.said: list[str] = []
        self.ends: list[tuple[int, str]] = []
        self.rolls: list[str] = []
        self.until = time.monotonic() + 40

    def begin(self) -> None:
        self.said.append("begin")

    def tick(self, workers: Mapping[int, Callable[[Message], object]]) -> None:
        assert time.monotonic() < self.until, "nothing happens any more"
        if self.steps and self.steps[0]():
            self.steps.pop(0)
        if not self.steps:
            os.kill(os.getpid(), signal.SIGTERM)

    def up(self) -> None:
        self.said.append("up")

    def reload(self) -> None:
        self.said.append("reload")

    def restart(self) -> None:
        self.said.append("restart")

    def rolled(self, reason: str) -> None:
        self.rolls.append(reason)

    def heard(self, post: Post, child: Child, message: Message) -> None:
        pass

    def ended(self, post: Post, child: Child, cause: str) -> None:
        self.ends.append((child.number, cause))

    def end(self) -> None:
        self.said.append("end")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let children be small programs that write to this file, and time run fast."""
    path = tmp_path / "log"
    path.touch()

    def start(self: Post, number: int) -> Child:
        ours, theirs = pair()
        program = HEAD + PROGRAMS[self.arguments[0]]
        words = [self.role, str(number), str(path), str(theirs.fileno())]
        command = [sys.executable, "-S", "-c", program, *words]
        with theirs:
            process = subprocess.Popen(command, start_new_session=True, pass_fds=[theirs.fileno()])
        return Child(number, process, Channel(ours))

    monkeypatch.setattr(Post, "start", start)
    monkeypatch.setattr(supervise, "_TICK_S", 0.005)
    monkeypatch.setattr(supervise, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(supervise, "MOST_BACKOFF_S", 0.05)
    monkeypatch.setattr(supervise, "KILL_AFTER_S", 0.1)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    assert threading.current_thread() is threading.main_thread()
    yield path
    for number, handler in before.items():
        signal.signal(number, handler)


def gateway(program: str = "steady") -> Post:
    return Post("gateway", [program], ())


def control(program: str = "steady") -> Post:
    return Post("control", [program], (), is_alone=True)


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines()


def noted(log: Path, *wanted: str) -> Callable[[], bool]:
    return lambda: set(wanted) <= set(lines(log))


def ready(*posts: Post) -> Callable[[], bool]:
    return lambda: all(post.is_ready for post in posts)


def run(
    posts: list[Post],
    beside: Beside,
    drain_s: float = 5.0,
    stuck_s: float = 60.0,
    supervisor: Supervisor | None = None,
) -> int:
    try:
        return (supervisor or Supervisor(posts, drain_s, stuck_s)).run(beside)
    finally:
        for post in posts:
            for child in post.children():
                if child.process.poll() is None:
                    child.process.send_signal(signal.SIGKILL)
                    child.process.poll()
                    raise AssertionError(f"{post.role} was left behind")


def test_children_are_stopped_in_order_and_the_end_is_good(log: Path) -> None:
    posts = [gateway(), gateway(), control()]
    beside = Beside(ready(*posts))
    assert run(posts, beside) == 0
    assert beside.said == ["begin", "up", "end"]
    assert sorted(lines(log)[-3:-1]) == ["gateway0 end", "gateway1 end"]
    assert lines(log)[-1] == "control0 end"


def test_a_child_that_dies_is_started_again(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    posts = [gateway(), control()]

    def kill() -> bool:
        assert posts[0].child is not None
        posts[0].child.process.send_signal(signal.SIGKILL)
        return True

    again = Beside(ready(*posts), kill, lambda: lines(log).count("gateway0 ready") == 2)
    assert run(posts, again) == 0
    assert lines(log).count("control0 start") == 1, "the other one goes on"
    died = next(record for record in caplog.records if record.message == "process_died")
    assert vars(died)["role"] == "gateway"
    assert vars(died)["status"] == -signal.SIGKILL
    assert again.ends[0] == (0, "died")


def test_a_child_whose_event_loop_stands_still_is_killed_and_replaced(
    log: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_TELL_WITHIN_S", 0.05)
    posts = [gateway("mute"), gateway()]
    beside = Beside(lambda: lines(log).count("gateway0 ready") == 2)
    assert run(posts, beside, stuck_s=0.5) == 0
    assert (0, "hung") in beside.ends
    assert lines(log).count("gateway1 start") == 1, "who beats goes on"
    assert "worker_hangs" in caplog.text


def test_restarts_wait_longer_each_time_up_to_a_bound(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    frail = gateway("frail")

    def is_patient() -> bool:
        return sum(r.message == "process_died" for r in caplog.records) >= 4

    assert run([frail], Beside(is_patient)) in (0, 1)
    waits = [vars(r)["restart_in_s"] for r in caplog.records if r.message == "process_died"]
    assert waits[:4] == [0.02, 0.04, 0.05, 0.05]


def test_a_child_that_was_steady_begins_to_count_anew(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervise, "STEADY_AFTER_S", -1.0)
    frail = gateway("frail")
    assert run([frail], Beside(lambda: lines(log).count("gateway0 start") >= 4)) == 0
    waits = {vars(r)["restart_in_s"] for r in caplog.records if r.message == "process_died"}
    assert waits == {0.02}


@pytest.mark.parametrize(("program", "starts"), [("broken", 1), ("frail", 5)])
def test_a_start_that_cannot_succeed_is_given_up(
    log: Path, caplog: pytest.LogCaptureFixture, program: str, starts: int
) -> None:
    never = Beside(lambda: False)
    assert run([gateway(program), control()], never) == 1
    assert lines(log).count("gateway0 start") == starts
    assert "process_gave_up" in caplog.text
    assert never.said == ["begin", "end"]


def test_what_was_up_once_is_not_given_up(log: Path) -> None:
    posts = [gateway()]

    def break_it() -> bool:
        posts[0].arguments[0] = "broken"
        assert posts[0].child is not None
        posts[0].child.process.send_signal(signal.SIGKILL)
        return True

    beside = Beside(ready(*posts), break_it, lambda: lines(log).count("gateway0 start") >= 3)
    assert run(posts, beside) == 0


def test_what_does_not_stop_is_killed(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    posts = [gateway("stubborn"), control()]
    assert run(posts, Beside(ready(*posts)), drain_s=0.1) == 0
    assert "process_killed" in caplog.text
    assert lines(log)[-1] == "control0 end", "the others are stopped all the same"


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGHUP, "reload"), (signal.SIGUSR2, "restart")]
)
def test_signals_ask_for_a_reload_or_a_restart(log: Path, number: int, said: str) -> None:
    posts = [gateway()]

    def ask() -> bool:
        os.kill(os.getpid(), number)
        return True

    beside = Beside(ready(*posts), ask, lambda: said in beside.said)
    assert run(posts, beside) == 0


def test_children_are_stopped_when_the_parents_own_work_fails(log: Path) -> None:
    class Failing(Beside):
        def begin(self) -> None:
            while not noted(log, "gateway0 ready")():
                time.sleep(0.01)
            raise OSError("the disk is full")

    beside = Failing()
    with pytest.raises(OSError, match="the disk is full"):
        run([gateway()], beside)
    assert lines(log)[-1] == "gateway0 end"
    assert beside.said == ["end"]


@pytest.mark.parametrize("apart_s", [0.05, 60.0])
def test_the_others_start_when_the_first_is_up_or_has_had_its_time(
    log: Path, monkeypatch: pytest.MonkeyPatch, apart_s: float
) -> None:
    monkeypatch.setattr(supervise, "APART_S", apart_s)
    posts = [gateway("steady" if apart_s == 60.0 else "never-ready"), control()]
    assert run(posts, Beside(noted(log, "gateway0 start", "control0 start"))) == 0
    seen = lines(log)
    if apart_s == 60.0:
        assert seen.index("gateway0 ready") < seen.index("control0 start")


def test_all_are_replaced_one_after_the_other_and_one_is_always_there(log: Path) -> None:
    posts = [gateway(), gateway(), control()]
    supervisor = Supervisor(posts, 5.0, 60.0)

    def replace() -> bool:
        supervisor.replace_all()
        return True

    beside = Beside(ready(*posts), replace, lambda: beside.rolls == [""])
    assert run(posts, beside, supervisor=supervisor) == 0
    seen = lines(log)
    assert seen.index("gateway2 ready") < seen.index("gateway0 retired")
    assert seen.count("gateway0 ready") == 2, "its number is free again for the next successor"
    assert seen.index("gateway1 retired") > len(seen) - 1 - seen[::-1].index("gateway0 ready")
    assert seen.count("control0 start") == 2
    ends = [end for end in beside.ends if end[1] == "replaced"]
    assert ends[:3] == [(0, "replaced"), (1, "replaced"), (0, "replaced")]


def test_a_successor_that_does_not_come_up_leaves_everything_as_it_was(log: Path) -> None:
    posts = [gateway(), gateway()]
    supervisor = Supervisor(posts, 5.0, 60.0)

    def replace() -> bool:
        for post in posts:
            post.arguments[0] = "broken"
        supervisor.replace_all()
        return True

    beside = Beside(ready(*posts), replace, lambda: bool(beside.rolls), ready(*posts))
    assert run(posts, beside, supervisor=supervisor) == 0
    assert "did not come up" in beside.rolls[0]
    assert not [line for line in lines(log) if "retired" in line]


def test_the_command_line_is_santrals_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: seen.extend([a[0], k]))
    child = Post("gateway", ["--fds", "3"], (3,)).start(7)
    command, options = seen
    assert isinstance(command, list)
    assert isinstance(options, dict)
    assert command[:7] == [
        sys.executable, "-m", "santral.app.child", "--role", "gateway", "--number", "7",
    ]  # fmt: skip
    assert command[-2:] == ["--fds", "3"]
    assert options["start_new_session"]
    assert options["pass_fds"] == (3, int(command[command.index("--channel") + 1]))
    child.channel.close()

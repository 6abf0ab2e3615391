"""A child of the parent: its numbers, and what it says when it hangs."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys

import pytest

from santral.app.child import _number_logs, _parser
from santral.app.station import Station, machine_name, process_name

HANGS = """
import sys
from santral.app import child
async def hang(*_):
    sys.stdout.write("hangs\\n")
    sys.stdout.flush()
    while True:
        pass
child.run = hang
child._station = lambda options: None
sys.argv = ["child", "--role", "gateway", "--fds", "0"]
child.main()
"""


def test_a_child_that_hangs_says_where_and_goes_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "hangs\n"
        child.send_signal(signal.SIGUSR1)
        said = [child.stderr.readline() for _ in range(4)]
        assert any("in hang" in line for line in said), said
        assert child.poll() is None, "the parent kills it"
        child.kill()


def test_the_command_line_says_where_a_worker_stands() -> None:
    words = [
        "--role",
        "gateway",
        "--fds",
        "7,8",
        "--neighbours",
        "9",
        "--handover",
        "3,4",
        "--number",
        "5",
        "--channel",
        "6",
    ]
    options = _parser().parse_args(words)
    assert (options.fds, options.neighbours, options.handover) == ((7, 8), (9,), (3, 4))
    assert (options.number, options.channel, options.config) == (5, 6, None)


def test_names_of_workers_can_stand_in_a_files_name_and_differ_by_machine() -> None:
    assert machine_name("node-1.example/../x y") == "node_1.example_.._x_y"
    assert machine_name("") == "machine"
    assert Station(number=2, machine="a").name == "a-w2"
    assert Station(number=2, machine="a").name != Station(number=2, machine="b").name
    assert process_name(2, 99) == "w2-99"


def test_every_line_of_the_log_names_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    _number_logs(3)
    record = logging.makeLogRecord({"msg": "x"})
    assert handler.filter(record)
    assert vars(record)["worker"] == 3

"""The load generator counts right answers as right and wrong ones as faults."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from benchmarks.cpu import cpu_time, memory, process_tree
from benchmarks.script import CONTENT_EVENTS, EVENTS, WHOLE_BYTES, request_body
from benchmarks.tools import BUILD, NoCompilerError, find_compiler


def test_every_whole_answer_is_counted_once_on_both_sides(rig: Any) -> None:
    report = rig.load(requests=200)
    assert (report["answers"], report["faults"]) == (200, 0)
    assert rig.upstream.answered() == 200
    assert report["bytes"] > 200 * WHOLE_BYTES
    assert (
        0
        < report["latency_us"]["p50"]
        <= report["latency_us"]["p99"]
        <= report["latency_us"]["max"]
    )


def test_every_stream_is_counted_with_its_events(rig: Any) -> None:
    report = rig.load(is_streaming=True, requests=200)
    assert (report["answers"], report["faults"]) == (200, 0)
    assert report["fewest_events"] == report["most_events"] == EVENTS
    assert report["first_event_us"]["p50"] <= report["latency_us"]["p50"]


def test_an_answer_in_anthropics_protocol_is_counted_as_any_other(rig: Any) -> None:
    report = rig.load(requests=100, path="/v1/messages")
    assert (report["answers"], report["faults"]) == (100, 0)
    assert rig.upstream.answered() == 100


def test_a_chat_stream_is_no_answer_to_a_client_of_anthropics_protocol(rig: Any) -> None:
    report = rig.load(is_streaming=True, requests=20, is_messages=True)
    assert (report["answers"], report["fault_kinds"]) == (0, {"done": 20})


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize("fault", ["status", "cut", "text"])
def test_a_wrong_answer_is_a_fault_of_its_kind(rig: Any, fault: str, is_streaming: bool) -> None:
    rig.upstream.script(fault=fault, every=10)
    report = rig.load(is_streaming=is_streaming, requests=200)
    kind = {"text": "body"}.get(fault, fault)
    assert (report["answers"], report["fault_kinds"]) == (180, {kind: 20})
    assert report["first_fault"].startswith(f"{kind}: ")


def test_a_stream_without_its_end_marker_is_a_fault(rig: Any) -> None:
    rig.upstream.script(fault="done", every=4)
    report = rig.load(is_streaming=True, requests=200)
    assert (report["answers"], report["fault_kinds"]) == (150, {"done": 50})


def test_a_stream_with_another_number_of_events_is_a_fault(rig: Any) -> None:
    report = rig.load(is_streaming=True, requests=20, events=EVENTS + 1)
    assert (report["answers"], report["fault_kinds"]) == (0, {"events": 20})


def test_an_answer_that_does_not_come_is_a_fault_and_ends_the_wait(rig: Any) -> None:
    rig.upstream.script(delay_ms=5000)
    report = rig.load(requests=3, connections=3, timeout_s=0.2)
    assert (report["answers"], report["fault_kinds"]) == (0, {"timeout": 3})


def test_nobody_listening_ends_the_load_early(rig: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        report = rig.load(requests=100_000, port=unused.getsockname()[1])
    assert report["answers"] == 0
    assert report["fault_kinds"]["connect"] == report["sent"] < 1000


def test_an_open_loop_sends_at_its_rate_and_counts_from_the_due_time(rig: Any) -> None:
    rig.upstream.script(delay_ms=20)
    report = rig.load(requests=100, rate=500, connections=100)
    assert report["answers"] == 100
    assert (
        0.19 < report["seconds"] < 1.5
    )  # 100 requests at 500/s and 20 ms; the machine may be busy
    assert report["latency_us"]["p50"] > 20_000


def test_an_open_loop_with_too_few_connections_shows_the_queue_as_latency(rig: Any) -> None:
    rig.upstream.script(delay_ms=20)
    report = rig.load(requests=40, rate=1000, connections=1)
    assert report["answers"] == 40
    assert report["latency_us"]["max"] > 700_000  # 40 answers of 20 ms, one after the other


def test_paced_events_arrive_apart(rig: Any) -> None:
    rig.upstream.script(gap_ms=2)
    report = rig.load(is_streaming=True, requests=4, connections=4)
    assert report["answers"] == 4
    assert report["gap_us"]["p50"] > 1000
    assert report["latency_us"]["p50"] > (EVENTS - 1) * 2000


def test_each_request_is_worded_differently(rig: Any) -> None:
    bodies = _bodies_seen(rig, requests=3)
    assert len(set(bodies)) == 3
    assert all(json.loads(body)["model"] == "scripted" for body in bodies)


def _bodies_seen(rig: Any, requests: int) -> list[str]:
    """Answer from a server of our own that keeps what it was sent."""
    seen: list[str] = []
    answer = b'{"choices":[{"message":{"content":"' + rig.script.text.read_bytes() + b'"}}]}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                for _ in range(requests):
                    size = 0
                    while (line := lines.readline()) != b"\r\n":
                        if line.lower().startswith(b"content-length:"):
                            size = int(line.split(b":")[1])
                    seen.append(lines.read(size).decode())
                    connection.sendall(head + answer)

        thread = threading.Thread(target=serve)
        thread.start()
        report = rig.load(requests=requests, connections=1, port=server.getsockname()[1])
        thread.join(5)
    assert report["faults"] == 0, report
    return seen


def test_load_refuses_an_address_beyond_this_machine(rig: Any) -> None:
    program = BUILD / "load"
    argv = [str(program), "--host", "192.0.2.1", "--port", "80"]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    assert told.returncode == 2
    assert "not a loopback address" in told.stderr


def test_without_a_compiler_the_message_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(NoCompilerError, match="apt-get install"):
        find_compiler()


def test_the_script_has_the_stated_sizes(rig: Any) -> None:
    assert len(rig.script.whole.read_bytes()) == WHOLE_BYTES
    events = rig.script.events.read_text().split("\n\n")[:-1]
    assert len(events) == EVENTS
    pieces = [json.loads(event.removeprefix("data: ")) for event in events[:CONTENT_EVENTS]]
    joined = "".join(piece["choices"][0]["delta"]["content"] for piece in pieces)
    assert joined == rig.script.text.read_text()
    long = request_body("scripted", "long", is_streaming=False)
    assert 53_000 < len(long) < 55_000
    assert len(json.loads(long)["messages"]) == 64


def test_cpu_time_and_memory_of_the_provider_are_read(rig: Any) -> None:
    pids = process_tree(rig.upstream.pid)
    before = cpu_time(pids)
    rig.load(requests=2000)
    spent_ns = cpu_time(pids).since(before)
    assert 2000 * 500 < spent_ns < 2000 * 1_000_000  # over 0.5 us each, under 1 ms
    assert memory(pids).pss > 50_000


def test_children_end_with_the_rig(rig: Any, tmp_path: Path) -> None:
    child = rig.children.start("sleeper", ["sleep", "300"])
    rig.children.end(child)
    assert child.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)

from __future__ import annotations

import asyncio
import io
import re
import socket
import threading
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from rich.console import Console
from typer.testing import CliRunner

from santral.errors import BadRequest, NotFound, SantralError, StoreError, Unauthenticated
from santral.traces import ask
from santral.traces.cli import Tail, traces_app
from santral.traces.draw import draw_trace
from santral.traces.question import FoundTrace, Progress
from santral.traces.readable import dollars, duration, visible
from santral.traces.record import SourceRecord, SpanRecord
from santral.traces.store import TraceStore

runner = CliRunner()


def _app_of_api_tests(store: TraceStore) -> Any:
    """Return the application that test_api builds."""
    spec = spec_from_file_location("traces_test_api", Path(__file__).with_name("test_api.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build_app(store)


class Control:
    """A control process's HTTP side, in a thread, with its store."""

    def __init__(self) -> None:
        self.store = TraceStore(Path(":memory:"))
        self.loop = asyncio.new_event_loop()
        config = uvicorn.Config(
            _app_of_api_tests(self.store), log_level="critical", lifespan="off", ws="none"
        )
        self.server = uvicorn.Server(config)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.server.serve(sockets=[self.socket]))
        self.loop.run_until_complete(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def put(self, *records: Any) -> None:
        insert = self.store.insert(records, Progress(segment="s"))
        asyncio.run_coroutine_threadsafe(insert, self.loop).result(10)


@pytest.fixture
def control() -> Iterator[Control]:
    running = Control()
    running.thread.start()
    yield running
    running.server.should_exit = True
    running.thread.join(10)
    running.socket.close()


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ask.KEY_VARIABLE, raising=False)


def run(*arguments: str) -> str:
    result = runner.invoke(traces_app, list(arguments), catch_exceptions=True)
    if isinstance(result.exception, SantralError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def now_record(make_record: Any, number: int, **changes: Any) -> Any:
    from santral.traces.store import epoch_us

    return make_record(number, started_at_us=epoch_us() - 60_000_000 + number, **changes)


def test_list_asks_the_control_process(control: Control, make_record: Any) -> None:
    control.put(
        now_record(make_record, 1, route="support"),
        now_record(make_record, 2, status=502, error="provider_failed"),
    )
    text = run("list", "--url", control.url, "--key", "admin")
    lines = text.splitlines()
    assert lines[0].split("\t")[:3] == ["time", "trace", "route"]
    assert "502 provider_failed" in lines[1]
    assert "support\t200" in lines[2]
    assert "502" in run("list", "--url", control.url, "--key", "admin", "--status", "error")
    more = run("list", "--url", control.url, "--key", "admin", "--limit", "1")
    assert "There are more" in more


def test_list_of_nothing_says_what_to_do(control: Control) -> None:
    assert "--since 7d" in run("list", "--url", control.url, "--key", "admin")


def test_show_takes_the_first_digits(control: Control, make_record: Any) -> None:
    record = now_record(
        make_record, 1, losses=["logprobs"], decision={"tier": "large", "score": 0.9}
    )
    control.put(record)
    text = run("show", record.trace_id[:9], "--url", control.url, "--key", "admin")
    for part in (
        record.trace_id,
        "input_guard",
        "█",
        "input_uncached",
        "handbook.md",
        "[1]*",
        "Merhaba",
        "Selam [1].",
        "pii",
        "mask",
        "1. local",
        "logprobs",
        "tier large, score 0.9",
    ):
        assert part in text, part


def test_errors_of_the_control_process_are_passed_on(control: Control) -> None:
    with pytest.raises(NotFound, match="No trace 'ffff'"):
        run("show", "ffff", "--url", control.url, "--key", "admin")
    with pytest.raises(Unauthenticated, match="No key"):
        run("list", "--url", control.url, "--key", "wrong")
    with pytest.raises(Unauthenticated, match=r"wants an admin key.*SANTRAL_ADMIN_KEY"):
        run("list", "--url", control.url)


def test_the_key_comes_from_the_environment(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ask.KEY_VARIABLE, "admin")
    run("list", "--url", control.url)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_the_store_is_read_where_nothing_runs(tmp_path: Path, make_record: Any) -> None:
    (tmp_path / "santral.toml").write_text(f"[control]\nport = {_free_port()}\n")
    with pytest.raises(StoreError, match=r"Nothing answers at .* santral serve"):
        run("list")
    record = now_record(make_record, 1)

    async def fill() -> None:
        store = TraceStore(tmp_path / "santral-data" / ask.STORE_FILE)
        await store.insert([record], Progress(segment="s"))
        await store.close()

    (tmp_path / "santral-data").mkdir()
    asyncio.run(fill())
    assert record.trace_id[:12] in run("list")
    assert record.trace_id in run("show", record.trace_id[:6])
    with pytest.raises(BadRequest, match="since is"):
        run("list", "--since", "later")


def test_an_address_where_nobody_is_says_so() -> None:
    with pytest.raises(
        StoreError, match=r"did not answer: .*Connection refused.* Start it with santral serve"
    ):
        run("list", "--url", f"http://127.0.0.1:{_free_port()}", "--key", "admin")


def test_tail_prints_every_trace_once(control: Control, make_record: Any) -> None:
    control.put(*[now_record(make_record, n) for n in range(5)])
    tail = Tail(ask.ControlProcess(control.url, "admin"), {})
    assert len(tail.first(3)) == 3
    assert tail.fresh() == []
    late = now_record(make_record, 7, status=418)
    control.put(late, now_record(make_record, 3))
    assert [row[1] for row in tail.fresh()] == [late.trace_id[:12]]
    assert tail.fresh() == []
    assert run("tail", "--url", control.url, "--key", "admin", "-n", "2").count("\n") == 2


def drawn(record: Any) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(draw_trace(FoundTrace(record, [])))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_hostile_content_cannot_steer_the_terminal(make_record: Any) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe [bold]\x9b31m\r"
    record = make_record(
        1,
        route=evil,
        requested_model=evil,
        session=evil,
        error=evil,
        tags={evil: evil},
        spans=[SpanRecord(id="a", parent_id="a", name=evil, start_us=-5, duration_us=10**15)],
        sources=[SourceRecord(number=1, chunk_id="c", document=evil)],
    )
    text = drawn(record)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "[bold]" in text, "markup is text"


def test_spans_whose_parents_form_a_circle_are_drawn(make_record: Any) -> None:
    spans = [
        SpanRecord(id="a", parent_id="b", name="one", start_us=0, duration_us=1),
        SpanRecord(id="b", parent_id="a", name="two", start_us=0, duration_us=1),
        SpanRecord(id="c", parent_id="missing", name="three", start_us=0, duration_us=1),
    ]
    text = drawn(make_record(1, spans=spans, duration_us=0))
    assert all(name in text for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("us", "text"),
    [(None, "-"), (0, "0 us"), (999, "999 us"), (12_340, "12.3 ms"), (999_400, "999 ms"),
     (999_600, "1 s"), (1_843_000, "1.84 s"), (120_000_000, "120 s")],
)  # fmt: skip
def test_durations_are_written_for_people(us: int | None, text: str) -> None:
    assert duration(us) == text


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [(None, "-"), (0, "$0"), (1, "$0.000000001"), (1_500, "$0.0000015"), (1_234_567, "$0.00123"),
     (2_500_000_000, "$2.50")],
)  # fmt: skip
def test_costs_are_written_to_the_digits_that_matter(nanousd: int | None, text: str) -> None:
    assert dollars(nanousd) == text


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    assert visible("Merhaba, İstanbul! 你好\nsatır") == "Merhaba, İstanbul! 你好\nsatır"

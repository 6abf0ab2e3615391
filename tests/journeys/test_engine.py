"""A real engine behind Santral: ``transformers serve`` with a model that a script makes from nothing.

On demand, by ``make journeys``: its environment holds torch, and starting it takes half a minute.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from tests.clients.client import ROOT, python_of
from tests.journeys.conftest import Santral, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.engine, pytest.mark.timeout(300)]

HELLO: Any = [{"role": "user", "content": "How does Santral route a request?"}]
LONG = 3500  # tokens: some ten seconds of work for the engine, and still within its context


class Engine(NamedTuple):
    """The engine, as its operator sees it."""

    base_url: str
    model: str
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """Return the processor time it has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_idle(self) -> bool:
        """Whether it used less than a tenth of a processor in the last 300 ms."""
        before = self.cpu_s()
        time.sleep(0.3)
        return self.cpu_s() - before < 0.03


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    if "engine" not in f"{request.config.getoption('markexpr')} {request.config.args}":
        pytest.skip("a real engine is started on demand: make journeys")
    python = python_of("engine")
    folder = tmp_path_factory.mktemp("engine")
    model, port = folder / "tiny", free_port()
    (folder / "home" / "hub").mkdir(parents=True)  # it fails to list models where there is none
    env = {
        "PATH": os.environ["PATH"],
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "home"),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",  # measured: with so small a model more threads only wait
    }
    subprocess.run(
        [python, ROOT / "scripts" / "make_tiny_model.py", model],
        env=env,
        check=True,
        capture_output=True,
    )
    with (folder / "log.txt").open("wb") as log:
        where = ("--host", "127.0.0.1", "--port", str(port), "--device", "cpu")
        process = subprocess.Popen(
            [python.with_name("transformers"), "serve", model, *where],
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{url}/health"), within_s=120)
        yield Engine(f"{url}/v1", str(model), process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture(scope="module")
def gateway(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Santral]:
    text = (
        "[server]\nport = 0\n[control]\nport = 0\n[log]\nlevel = 'warning'\nformat = 'text'\n"
        "[telemetry]\ncollect_every_s = 0.1\n"
        f"[providers.engine]\nkind = 'transformers'\nbase_url = '{engine.base_url}'\n"
        f"[providers.plain]\nkind = 'openai-compatible'\nbase_url = '{engine.base_url}'\n"
        f"[providers.dead]\nkind = 'openai-compatible'\nbase_url = 'http://127.0.0.1:{free_port()}/v1'\n"
        f"[deployments.tiny]\nprovider = 'engine'\nmodel = '{engine.model}'\n"
        f"[deployments.tiny-plain]\nprovider = 'plain'\nmodel = '{engine.model}'\n"
        f"[deployments.gone]\nprovider = 'dead'\nmodel = '{engine.model}'\n"
        "[routes.safe]\n"
        "ladder = [{ deployments = { gone = 1 } }, { deployments = { tiny = 1 } }]\n"
        "[routes.strict]\nstrict = true\nladder = [{ deployments = { tiny = 1 } }]\n"
    )
    running = Santral(tmp_path_factory.mktemp("gateway"), text)
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(gateway: Santral) -> Iterator[openai.OpenAI]:
    with gateway.client() as made:
        yield made


@pytest.fixture(scope="module")
def said(engine: Engine) -> str:
    """What the engine itself says to the question, in sixteen tokens."""
    with openai.OpenAI(base_url=engine.base_url, api_key="none") as direct:
        answer = direct.chat.completions.create(
            model=engine.model, messages=HELLO, max_completion_tokens=16
        )
    return answer.choices[0].message.content or ""


@pytest.mark.parametrize("model", ["tiny", "tiny-plain"])
def test_a_whole_answer_and_its_usage(client: openai.OpenAI, said: str, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_completion_tokens=16, user="somebody"
    )
    assert said
    assert answer.choices[0].message.content == said
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16
    assert answer.usage.prompt_tokens > 10


@pytest.mark.parametrize("model", ["tiny", "tiny-plain"])
@pytest.mark.parametrize("asked", [False, True], ids=["no-usage", "usage"])
def test_a_stream_and_its_usage(client: openai.OpenAI, said: str, model: str, asked: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if asked else {}
    with client.chat.completions.create(
        model=model, messages=HELLO, max_completion_tokens=16, stream=True, **more
    ) as stream:
        events = list(stream)
    texts = [e.choices[0].delta.content for e in events if e.choices]
    assert "".join(text or "" for text in texts) == said
    assert sum(bool(text) for text in texts) > 4
    assert [e.choices[0].finish_reason for e in events if e.choices][-1] == "length"
    usages = [event.usage for event in events if event.usage]
    assert [usage.completion_tokens for usage in usages] == ([16] if asked else [])


def test_other_dialects_get_the_same_answer(
    client: openai.OpenAI, gateway: Santral, said: str
) -> None:
    claude = anthropic.Anthropic(base_url=gateway.gateway, api_key=gateway.key, max_retries=0)
    with claude.messages.stream(model="tiny", max_tokens=16, messages=HELLO) as stream:
        message = stream.get_final_message()
    assert [block.text for block in message.content if block.type == "text"] == [said]
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 16)
    with client.responses.stream(model="tiny", input=HELLO, max_output_tokens=16) as events:
        kinds = [event.type for event in events]
    assert kinds[-1] == "response.incomplete"
    whole = client.responses.create(model="tiny", input=HELLO, max_output_tokens=16)
    assert whole.output_text == said


def test_text_is_completed_natively(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="tiny", prompt="Santral is", max_tokens=8)
    assert answer.choices[0].text
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8


def test_the_engine_stops_when_the_client_leaves(
    client: openai.OpenAI, engine: Engine, gateway: Santral
) -> None:
    wait_until(engine.is_idle, within_s=10)
    began = time.monotonic()
    raw = client.chat.completions.with_raw_response.create(
        model="tiny", messages=HELLO, max_completion_tokens=LONG, stream=True
    )
    with raw.parse() as stream:
        for count, _ in enumerate(stream):
            if count == 50:
                break
        per_token_s = (time.monotonic() - began) / 50
        assert per_token_s * LONG > 4, "the rest would take long enough to be seen"
        assert not engine.is_idle()
    wait_until(engine.is_idle, within_s=2)
    trace = gateway.trace(raw.headers["x-santral-trace-id"])
    assert trace["is_cancelled"]
    assert 0 < trace["usage"]["output_text"] < LONG / 2, "what was produced is billed, and no more"


def test_a_dead_deployment_is_replaced_by_the_engine(client: openai.OpenAI, said: str) -> None:
    for is_streaming in (False, True):
        raw = client.chat.completions.with_raw_response.create(
            model="safe", messages=HELLO, max_completion_tokens=16, stream=is_streaming
        )
        assert raw.headers["x-santral-deployment"] == "tiny"
        answer: Any = raw.parse()
        texts = (
            [e.choices[0].delta.content or "" for e in answer if e.choices]
            if is_streaming
            else [answer.choices[0].message.content]
        )
        assert "".join(texts) == said


def test_what_the_engine_cannot_do_is_said(client: openai.OpenAI) -> None:
    asked: Any = {"messages": HELLO, "response_format": {"type": "json_object"}, "max_tokens": 4}
    raw = client.chat.completions.with_raw_response.create(model="tiny", **asked)
    assert "response_format" in raw.headers["x-santral-loss"]
    with pytest.raises(openai.BadRequestError, match="response_format"):
        client.chat.completions.create(model="strict", **asked)
    with pytest.raises(openai.APIStatusError, match="top_k") as caught:
        client.chat.completions.create(model="tiny", messages=HELLO, extra_body={"top_k": 5})
    assert 400 <= caught.value.status_code < 500
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="tiny", input="Hello")


def test_the_probe_finds_it_well(gateway: Santral) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "santral", "providers", "test", "engine"],
        env=gateway.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_at_once_are_both_answered(client: openai.OpenAI, said: str) -> None:
    """The engine takes one after the other: the second waits, and no timeout hits it."""
    asked: Any = {"model": "tiny", "messages": HELLO, "max_completion_tokens": 16, "stream": True}
    with (
        client.chat.completions.create(**asked) as first,
        client.chat.completions.create(**asked) as second,
    ):
        for stream in (second, first):
            texts = [e.choices[0].delta.content or "" for e in stream if e.choices]
            assert "".join(texts) == said

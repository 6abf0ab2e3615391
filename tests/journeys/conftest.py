"""A whole Santral as a user starts it: real processes, real sockets, a scripted provider behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.upstream import Upstream

TIMEOUTS = "{ connect_s = 1.0, first_delta_s = 0.6, between_deltas_s = 0.6, total_s = 10.0 }"

#: Every behaviour of the scripted provider that a journey asks for by name.
BEHAVIOURS = (
    "ok",
    "slow:100",
    "paced",
    "stalled",
    "stalled-start",
    "stalled-middle",
    "cut-start",
    "cut-middle",
    "garbled-html",
    "garbled-json",
    "garbled-middle",
    "busy",
    "failed",
    "unauthorized",
    "refused",
    "context",
    "error-inside",
    "error-middle",
    "no-usage",
    "usage-every",
    "tools",
    "json-retry",
    "json-never",
    "pii",
    "refusal",
    "empty",
    "azure",
    "no-done",
    "sloppy",
    "big",
)

POLICY = """
[policies.strict]
input = [
  { check = "injection", action = "refuse" },
  { check = "secrets", action = "mask" },
  { check = "pii", action = "mask" },
]
output = [{ check = "pii", action = "mask" }]
"""


def name_of(behaviour: str) -> str:
    return behaviour.replace(":", "-")


def configuration(upstream: str, more: str = "") -> str:
    """Return a santral.toml with a deployment, a route and a route with fallback per behaviour."""
    parts = [
        "[server]\nport = 0\ndrain_s = 5\n[control]\nport = 0\n[log]\nlevel = 'warning'\nformat = 'text'\n"
        "[telemetry]\ncollect_every_s = 0.1\n",
        f'[providers.scripted]\nkind = "openai-compatible"\nbase_url = "{upstream}"\n',
        POLICY,
    ]
    for behaviour in BEHAVIOURS:
        name = name_of(behaviour)
        parts.append(
            f'[deployments.d-{name}]\nprovider = "scripted"\nmodel = "{behaviour}"\ntimeouts = {TIMEOUTS}\n'
            f"[routes.{name}]\nladder = [{{ deployments = {{ d-{name} = 1 }} }}]\n"
            f"[routes.{name}-or-ok]\nladder = [{{ deployments = {{ d-{name} = 1 }} }},"
            f" {{ deployments = {{ d-ok = 1 }} }}]\n"
            f'[routes.{name}-strict]\nladder = [{{ deployments = {{ d-{name} = 1 }} }}]\npolicy = "strict"\n'
        )
    return "\n".join([*parts, more])


class Santral:
    """A running installation and the ways to look at it."""

    def __init__(self, folder: Path, text: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "santral.toml"
        self.config.write_text(text, encoding="utf-8")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")}
        self.env |= {"SANTRAL_CONFIG": str(self.config), **(env or {})}
        self.output: list[str] = []
        self._clients: list[openai.OpenAI] = []
        self.gateway = self.control = self.key = self.admin_key = ""
        self.start()

    def start(self) -> None:
        self.log = (self.folder / "log.txt").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "santral", "serve"],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            words = line.split()
            if words[:2] == ["application", "key"]:
                self.key = words[2]
            elif words[:2] == ["admin", "key"]:
                self.admin_key = words[2]
            elif words[:1] == ["gateway"]:
                self.gateway = words[1].removesuffix("/v1")
            elif words[:1] == ["console"]:
                self.control = words[1].rstrip("/")
                return
        raise AssertionError(f"santral did not start:\n{''.join(self.output)}\n{self.logs()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(20)
        while self._clients:
            self._clients.pop().close()
        self.log.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def logs(self) -> str:
        return (self.folder / "log.txt").read_text()

    def client(self, key: str | None = None, **options: Any) -> openai.OpenAI:
        """Return an official client; it is closed when the installation stops."""
        made = openai.OpenAI(
            base_url=f"{self.gateway}/v1", api_key=key or self.key, max_retries=0, **options
        )
        self._clients.append(made)
        return made

    def post(
        self, body: Any, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a chat request as plain bytes; return status, headers and body whatever they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.gateway}/v1/chat/completions", data=data)
        request.add_header("authorization", f"Bearer {key or self.key}")
        request.add_header("content-type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        return self._open(request)

    def chat(self, route: str, text: str = "Hello", **fields: Any) -> dict[str, Any]:
        return {"model": route, "messages": [{"role": "user", "content": text}], **fields}

    def get(self, url: str, key: str | None = None) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(url)
        if key:
            request.add_header("authorization", f"Bearer {key}")
        return self._open(request)

    def admin(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control}{path}", data=data, method=method)
        request.add_header("authorization", f"Bearer {self.admin_key}")
        request.add_header("content-type", "application/json")
        status, _, answer = self._open(request)
        assert status < 300, answer
        return json.loads(answer)

    def trace(self, trace_id: str, within_s: float = 5) -> dict[str, Any]:
        """Return a trace once the collector has stored it."""
        url = f"{self.control}/api/traces/{trace_id}"
        found = wait_until(lambda: self._found(url), within_s)
        return json.loads(found)["trace"]

    def _found(self, url: str) -> bytes | None:
        status, _, body = self.get(url, self.admin_key)
        return body if status == 200 else None

    def children(self, role: str) -> list[int]:
        """Return the process ids of the children with a role."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", f"role {role}"],
            capture_output=True,
            text=True,
        )
        return [int(line) for line in found.stdout.split()]

    @staticmethod
    def _open(request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=15) as response:
                return (
                    response.status,
                    dict(
                        response.headers.lower_items()
                        if hasattr(response.headers, "lower_items")
                        else {k.lower(): v for k, v in response.headers.items()}
                    ),
                    response.read(),
                )
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def wait_until(look: Callable[[], Any], within_s: float = 5) -> Any:
    """Return what ``look`` finds, as soon as it finds something."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing within {within_s} s")


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def santral(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Santral]:
    """One installation for all journeys that do not disturb it."""
    running = Santral(tmp_path_factory.mktemp("santral"), configuration(upstream.base_url))
    yield running
    running.stop()


@pytest.fixture
def own_santral(tmp_path: Path, upstream: Upstream) -> Iterator[Callable[..., Santral]]:
    """Start an installation that a journey may break; stopped at the end."""
    started: list[Santral] = []

    def start(more: str = "", env: dict[str, str] | None = None) -> Santral:
        folder = tmp_path / f"santral-{len(started)}"
        folder.mkdir(exist_ok=True)  # a journey may have put files there
        started.append(Santral(folder, configuration(upstream.base_url, more), env))
        return started[-1]

    yield start
    for running in started:
        running.stop()

"""The two C tools: compiles them at first use, starts the scripted provider, runs the load."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.processes import Children, NotStartedError
from benchmarks.script import Script

HERE = Path(__file__).parent
BUILD = HERE / "build"
#: Room for the answers still on their way when the time of a load is up.
_GRACE_S = 40.0


class NoCompilerError(Exception):
    """There is no C compiler; the message says how to get one."""


class LoadFailedError(Exception):
    """The load generator could not run."""


def find_compiler() -> str:
    """Return the C compiler: ``CC``, cc, gcc or clang.

    Raises:
        NoCompilerError: there is none.
    """
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return path
    raise NoCompilerError(
        "The benchmark tools are written in C and this machine has no C compiler. Install one:\n"
        "  apt-get install -y gcc libc6-dev     (Debian, Ubuntu)\n"
        "  dnf install -y gcc glibc-devel       (Fedora, RHEL)"
    )


def build(tool: str, folder: Path = BUILD) -> Path:
    """Compile ``<tool>.c`` unless the program is newer than its sources."""
    source, program = HERE / f"{tool}.c", folder / tool
    newest = max(source.stat().st_mtime, (HERE / "tool.h").stat().st_mtime)
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = find_compiler()
    folder.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(f".{os.getpid()}")  # two runs at once must not run half a program
    subprocess.run(
        [compiler, "-O2", "-g", "-Wall", "-Wextra", "-o", str(fresh), str(source)], check=True
    )
    fresh.replace(program)
    return program


@dataclass(frozen=True)
class Upstream:
    """The scripted provider."""

    port: int
    pid: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def script(
        self, *, delay_ms: int = 0, gap_ms: int = 0, fault: str = "none", every: int = 0
    ) -> None:
        """Set how it answers from now on."""
        query = f"delay_ms={delay_ms}&gap_ms={gap_ms}&fault={fault}&every={every}"
        self._ask("PUT", f"/script?{query}")

    def answered(self) -> int:
        """Return how many chat requests it has answered so far."""
        stats = self._ask("GET", "/stats")
        return int(stats["whole"]) + int(stats["streams"])

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            return cast("dict[str, Any]", json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def start_upstream(
    children: Children, script: Script, *, port: int = 0, core: int | None = None
) -> Upstream:
    """Start the scripted provider on ``port`` of 127.0.0.1; 0 takes a free one."""
    argv = [
        str(build("upstream")),
        "--port",
        str(port),
        "--whole",
        str(script.whole),
        "--messages",
        str(script.messages),
        "--events",
        str(script.events),
    ]
    child = children.start("upstream", argv, core=core, stdout=subprocess.PIPE)
    line = child.stdout.readline().decode() if child.stdout else ""
    if not line.startswith("listening "):
        raise NotStartedError(
            f"The scripted provider did not start. {children.end_of_log('upstream')}"
        )
    return Upstream(int(line.split()[1]), child.pid)


@dataclass(frozen=True)
class Load:
    """One run of the load generator; see benchmarks/load.c for the meaning of each field."""

    port: int
    body: Path
    text: Path
    path: str = "/v1/chat/completions"
    headers: Sequence[str] = ()
    connections: int = 1
    requests: int = 1000
    seconds: float = 10.0
    timeout_s: float = 20.0
    rate: float = 0.0
    is_streaming: bool = False
    is_messages: bool = False
    events: int = 0
    first: int = 0

    def argv(self) -> list[str]:
        options = {
            "port": self.port, "path": self.path, "body": self.body, "text": self.text,
            "connections": self.connections, "requests": self.requests, "seconds": self.seconds,
            "timeout": self.timeout_s, "rate": self.rate, "stream": int(self.is_streaming),
            "messages": int(self.is_messages), "events": self.events, "first": self.first,
        }  # fmt: skip
        named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return named + [part for header in self.headers for part in ("--header", header)]


def run_load(children: Children, load: Load, *, core: int | None = None) -> dict[str, Any]:
    """Run the load and return its report: answers, faults, rps, latencies, streams."""
    child = children.start(
        "load", [str(build("load")), *load.argv()], core=core, stdout=subprocess.PIPE
    )
    try:
        output, _ = child.communicate(timeout=load.seconds + load.timeout_s + _GRACE_S)
    except subprocess.TimeoutExpired:
        raise LoadFailedError("the load generator did not end in time") from None
    finally:
        children.end(child)
    if child.returncode != 0:
        raise LoadFailedError(children.end_of_log("load", 3))
    return cast("dict[str, Any]", json.loads(output))

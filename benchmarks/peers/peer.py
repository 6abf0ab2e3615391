"""What the benchmark asks of a gateway."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Protocol

from benchmarks.processes import Children, NotStartedError, free_port, wait_for_port
from benchmarks.scenarios import Feat
from benchmarks.tools import Upstream


@dataclass(frozen=True)
class Target:
    """One way to send a request through a gateway; a row of every table."""

    name: str
    port: int
    model: str
    #: The processes whose CPU is that of the gateway, and all that run for it.
    workers: Callable[[], list[int]]
    tree: Callable[[], list[int]]
    version: str = ""
    #: What is switched on, in words.
    features: str = ""
    path: str = "/v1/chat/completions"
    headers: Sequence[str] = ()
    #: Exact number of events that a stream must have; 0 where the gateway may join or add some.
    events: int = 0
    #: Whether the load generator talks to the provider itself.
    is_direct: bool = False
    #: What it can do beyond passing chat on, and the model that is asked for it.
    feats: Mapping[Feat, str] = field(default_factory=dict[Feat, str])

    def can(self, feat: Feat) -> bool:
        """Whether it takes loads with this feat."""
        return not feat or feat in self.feats

    def model_for(self, feat: Feat) -> str:
        return self.feats.get(feat, self.model)


@dataclass(frozen=True)
class Place:
    """Where a gateway runs: its core, its folder, its upstream."""

    children: Children
    upstream: Upstream
    folder: Path
    core: int | None = None

    def start(
        self,
        name: str,
        argv: Sequence[str],
        port: int,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within_s: float = 60.0,
        pinned: bool = True,
    ) -> Started:
        """Start a program and wait until it listens on ``port``."""
        began = time.monotonic()
        core = self.core if pinned else None
        child = self.children.start(
            name, argv, core=core, env={**_environment(), **(env or {})}, cwd=cwd
        )
        try:
            wait_for_port(child, port, within_s=within_s)
        except NotStartedError as error:
            raise NotStartedError(f"{error}. {self.children.end_of_log(name)}") from None
        return Started(child, began)


@dataclass(frozen=True)
class Started:
    """A gateway that listens, and when it was started (``time.monotonic``)."""

    child: subprocess.Popen[bytes]
    began: float


@dataclass
class Running:
    """A started gateway and the rows it gives."""

    targets: list[Target]
    #: The process that was started; None where there is none.
    child: subprocess.Popen[bytes] | None = None
    began: float = field(default_factory=time.monotonic)
    idle_bytes: int = 0
    #: From its start to its first right answer.
    start_s: float = 0.0
    notes: list[str] = field(default_factory=list[str])


class Peer(Protocol):
    """One gateway."""

    name: ClassVar[str]
    #: Whether it takes minutes and hundreds of megabytes to install.
    is_heavy: ClassVar[bool]

    def missing(self) -> str | None:
        """Say why it cannot run now, or None when it can."""
        ...

    def install(self) -> None:
        """Install it under benchmarks/build; raises CalledProcessError or OSError."""
        ...

    def start(self, place: Place) -> Running:
        """Start it in front of ``place.upstream``; raises NotStartedError."""
        ...


def first_answer(
    target: Target, body: str, child: subprocess.Popen[bytes] | None, *, within_s: float = 30.0
) -> None:
    """Ask until there is an answer: a gateway may listen before it can answer.

    Raises:
        NotStartedError: there was none in time; the message has the last thing it said.
    """
    end, told = time.monotonic() + within_s, "nothing"
    while time.monotonic() < end and (child is None or child.poll() is None):
        try:
            status, told = _ask(target, body)
        except (OSError, http.client.HTTPException) as error:
            told = str(error)
        else:
            if status == HTTPStatus.OK:
                return
        time.sleep(0.05)
    ended = child is not None and child.poll() is not None
    why = "it ended before it answered" if ended else f"no answer within {within_s:.0f} s"
    raise NotStartedError(f"{target.name}: {why}; at last: {told[:500]}")


def _ask(target: Target, body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    headers = dict(header.split(": ", 1) for header in target.headers)
    try:
        connection.request(
            "POST", target.path, body, {"content-type": "application/json", **headers}
        )
        answer = connection.getresponse()
        return answer.status, f"{answer.status} {answer.read().decode(errors='replace')}"
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """The environment without what would send a gateway's traffic elsewhere."""
    dropped = ("_proxy", "PYTHONPATH", "OPENAI_", "SANTRAL_", "LITELLM_", "PORTKEY_")
    return {
        k: v
        for k, v in os.environ.items()
        if not any(part.lower() in k.lower() for part in dropped)
    }


__all__ = ["Peer", "Place", "Running", "Started", "Target", "free_port"]

"""The benchmark tools, compiled once, in front of each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ is beside src/, not installed

from benchmarks.processes import Children
from benchmarks.script import Script, request_body, write_script
from benchmarks.tools import Load, NoCompilerError, Upstream, build, run_load, start_upstream


@dataclass
class Rig:
    """The scripted provider, and loads on it."""

    children: Children
    upstream: Upstream
    script: Script
    folder: Path
    first: int = field(default=0)

    def load(
        self, *, is_streaming: bool = False, requests: int = 200, **options: Any
    ) -> dict[str, Any]:
        body = self.folder / "request.json"
        body.write_text(request_body("scripted", "short", is_streaming=is_streaming))
        settings: dict[str, Any] = {
            "connections": 8,
            "seconds": 5,
            "timeout_s": 5,
            "text": self.script.text,
        }
        settings |= {"port": self.upstream.port, "events": 62 if is_streaming else 0} | options
        return run_load(
            self.children, Load(body=body, requests=requests, is_streaming=is_streaming, **settings)
        )


@pytest.fixture(scope="session", autouse=True)
def compiled_tools() -> None:
    try:
        build("load")
        build("upstream")
    except NoCompilerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Children(tmp_path / "logs") as children:
        script = write_script(tmp_path / "script")
        yield Rig(children, start_upstream(children, script), script, tmp_path)

"""Other people's client libraries, each run in an environment of its own beside ours.

They pin versions of the vendors' SDKs that are not ours, so a client is a process that is asked by
lines of JSON. Without its environment a test is skipped, also with CI=true: they are made on demand.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-clients"


def python_of(name: str) -> Path:
    """Return the interpreter of an environment; skip the test where there is none."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not (ENVIRONMENTS / name / ".installed").exists():
        pytest.skip(f"needs .venv-clients/{name}; make it with: make journeys")
    return python


class ClientFailed(Exception):
    """What the client raised, as an application sees it."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['kinds'][0]}: {error['message']}")
        self.kinds: list[str] = error["kinds"]
        self.status: int | None = error["status"]
        self.message: str = error["message"]


class Client:
    """A client library in its process; a context manager."""

    def __init__(self, name: str, gateway: str, key: str) -> None:
        script = Path(__file__).with_name(f"{name.replace('-', '_')}_client.py")
        self.name = name
        self._process = subprocess.Popen(
            [python_of(name), script],
            env=environment(gateway, key),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, case: str, **arguments: Any) -> Any:
        """Let the client do something; return what it got or raise what it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"case": case, "with": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name} ended with status {self._process.wait(5)}"
        said = json.loads(line)
        if "error" in said:
            raise ClientFailed(said["error"])
        return said["answer"]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:  # closes its pipes, which ends it
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def environment(gateway: str, key: str) -> dict[str, str]:
    """Return what a client process sees: no keys of ours, no proxy, nothing that calls home."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "GATEWAY": gateway,
        "KEY": key,
        "PYTHONUTF8": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGSMITH_TRACING": "false",
        "NO_PROXY": "*",
    }

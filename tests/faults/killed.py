"""Runs a scenario again and again and kills it at its n-th write-like call, for n = 1, 2, 3 ...

``deaths.c`` counts what Python, SQLite and DuckDB ask of the disk below a folder and kills the process
there: before the call, or in the middle of a write (torn). The scenarios run in forks of one process
that has imported everything, so a run costs milliseconds.

Run as ``python -m tests.faults.killed`` with the library preloaded; ``Killer`` does that.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

ROOT = Path(__file__).parents[2]
MISSING = "a C compiler is missing; install it with: apt-get install -y gcc"


@dataclass(frozen=True)
class Run:
    """How one run ended: ``said`` is what the scenario told before it died or ended."""

    was_killed: bool
    calls: int  # write-like calls of a run that ended
    said: list[str]


def build(folder: Path) -> Path:
    """Compile the library; skip the test where there is no compiler (with CI=true that fails)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    library = folder / "deaths.so"
    source = Path(__file__).parent / "deaths.c"
    flags = ["-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run([compiler, *flags], check=True)
    return library


class Killer:
    """Forks scenarios and kills them."""

    def __init__(self, library: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.killed"],
            cwd=ROOT,
            env=os.environ | {"LD_PRELOAD": str(library)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Killer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def run(self, scenario: str, folder: Path, at: int = 0, is_torn: bool = False) -> Run:
        """Run ``scenario`` in ``folder``, killed at its call number ``at``; 0 lets it end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"scenario": scenario, "folder": str(folder), "at": at, "is_torn": is_torn}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        while told["folder"] != str(folder):  # of a test that was given up in the middle
            told = json.loads(self._process.stdout.readline())
        said = told["said"].split("\n")[:-1]
        if told["signal"] == signal.SIGKILL:
            return Run(True, 0, said)
        assert told["signal"] == told["status"] == 0, (scenario, at, is_torn, told)
        return Run(False, int(said.pop()), said)


def main() -> None:
    """Fork a scenario for each line of standard input."""
    from tests.faults.scenarios import SCENARIOS  # everything is imported once, before the forks

    for line in sys.stdin:
        job = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _run(SCENARIOS[job["scenario"]], job, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        told = {
            "folder": job["folder"],
            "said": said,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "status": os.waitstatus_to_exitcode(status),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _run(scenario: Callable[[Path, Callable[[str], None]], None], job: dict, writer: int) -> None:
    library = ctypes.CDLL(None)
    library.calls_met.restype = ctypes.c_long

    def say(text: str) -> None:
        os.write(writer, f"{text}\n".encode())

    status = 1
    try:
        library.arm_death(ctypes.c_long(job["at"]), int(job["is_torn"]), job["folder"].encode())
        scenario(Path(job["folder"]), say)
        say(str(library.calls_met()))
        status = 0
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()

"""The tour of ``make demo``, from start to finish, as a new user runs it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]


def test_every_step_of_the_tour_shows_what_it_should() -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")}
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart" / "tour.py"],
        env=env | {"DEMO_EXIT": "1"}, capture_output=True, text=True, timeout=220,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 of 12 steps showed what they should" in done.stdout
    assert "The four golden signals" in done.stdout
    assert "\x1b[" not in done.stdout, "plain where nobody looks at a terminal"
    second = _tour_beside_another()  # in one test: two tours at once are what is refused
    assert second.returncode == 1
    assert "Another tour runs" in second.stderr


def _tour_beside_another() -> subprocess.CompletedProcess[str]:
    folder = os.open(ROOT / "examples" / "quickstart", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        return subprocess.run(
            [sys.executable, ROOT / "examples" / "quickstart" / "tour.py"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        os.close(folder)

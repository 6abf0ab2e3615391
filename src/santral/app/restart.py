"""``santral restart``: every process by a new one, one after the other, and nobody notices."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from msgspec import Struct

from santral.config.load import load
from santral.errors import StoreError

#: How long a rehearsal may take, in seconds. Chosen: it imports everything and asks the database.
REHEARSE_WITHIN_S = 60
_LOOK_S = 0.1


class Outcome(Struct, frozen=True):
    """How far the last restart of a parent is."""

    state: Literal["", "rehearsing", "replacing", "done", "stopped", "refused"] = ""
    reason: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "stopped", "refused")


def restart(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The santral.toml to read.")
    ] = None,
    within: Annotated[
        float, typer.Option(help="Seconds to wait for the end; 0 does not wait.")
    ] = 600.0,
) -> None:
    """Replace the processes of the running Santral one after the other, losing no request.

    New processes read santral.toml and the program anew, so settings that cannot change while running,
    another number of workers, and a new version come into force.
    """
    folder = load(config, os.environ).config.data.folder
    for pid in _parents(folder):
        _outcome_file(folder, pid).unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR2)
        if within:
            _wait(folder, pid, time.monotonic() + within)


def begin_rehearsal(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the program as it is now, only to see whether it could; it starts no child."""
    with _rehearsal_file(folder).open("wb") as said:
        return subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, *command[1:], "--rehearse"],
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )


def rehearsed(folder: Path, status: int | None) -> str:
    """Return why the program could not start; empty where it could."""
    if status == 0:
        return ""
    said = _rehearsal_file(folder).read_text(errors="replace").strip()
    return said.removeprefix("santral: ")[-2000:] or f"the rehearsal ended with status {status}"


def write_outcome(folder: Path, pid: int, outcome: Outcome) -> None:
    """Say how far a restart is, for who waits."""
    with suppress(OSError):  # a full disk must not stop the restart
        path = _outcome_file(folder, pid)
        making = path.with_suffix(".making")
        making.write_bytes(msgspec.json.encode(outcome))
        making.replace(path)


def _parents(folder: Path) -> list[int]:
    """Return the processes of `santral serve` on a data folder, the gateway's first.

    Raises:
        StoreError: there is none, or it is on another machine.
    """
    found: list[int] = []
    for role in ("gateway", "console"):
        path = folder / "run" / f"{role}.lock"
        if not _is_held(path):
            continue
        pid, _, host = path.read_text().strip().partition(" ")
        if host != socket.gethostname():
            raise StoreError(f"The {role} of {folder} runs on {host}. Run santral restart there.")
        if int(pid) not in found:
            found.append(int(pid))
    if not found:
        raise StoreError(f"No `santral serve` runs on the data folder {folder}. Start one.")
    return found


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _wait(folder: Path, pid: int, until: float) -> None:
    while time.monotonic() < until:
        outcome = _read_outcome(folder, pid)
        if outcome.state == "done":
            return
        if outcome.is_over:
            raise StoreError(f"The restart was {outcome.state}: {outcome.reason}")
        time.sleep(_LOOK_S)
    raise StoreError("The restart goes on, and took longer than --within. See the log.")


def _read_outcome(folder: Path, pid: int) -> Outcome:
    try:
        return msgspec.json.decode(_outcome_file(folder, pid).read_bytes(), type=Outcome)
    except (OSError, msgspec.DecodeError):
        return Outcome()


def _outcome_file(folder: Path, pid: int) -> Path:
    return folder / "run" / f"restart-{pid}.json"


def _rehearsal_file(folder: Path) -> Path:
    return folder / "run" / "rehearsal.txt"

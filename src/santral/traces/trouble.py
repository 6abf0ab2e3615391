"""What is told when the telemetry store cannot be used: what is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path

from santral.errors import StoreError

_DAMAGED = (
    "is damaged. Restore it from a backup, or move {name} and {name}.wal away: a new one begins "
    "with what waits in the spool. The ledger is not in it."
)
#: Part of the engine's message -> what to tell; the first that fits. Observed with DuckDB 2.0.
_KNOWN = (
    (
        "could not set lock",
        "is held by another process, most likely a running santral serve. Only one process may "
        "open it: stop that one, or ask it over HTTP.",
    ),
    ("no space left", "has no room left on its disk. Free some; what is new waits in the spool."),
    ("not a valid duckdb database", _DAMAGED),
    ("corrupt", _DAMAGED),
    ("could not read enough bytes", _DAMAGED),
    ("while replaying wal", _DAMAGED),
    ("permission denied", "may not be opened by this user. Make it and its folder writable."),
    ("read-only file system", "is on a read-only disk. Set data.folder to another place."),
)


class StoreDamaged(StoreError):
    """The telemetry store is no file that can be read; everything else can go on without it."""


def explained(path: Path, error: Exception) -> StoreError:
    """Return an error of the engine as ours, with its remedy."""
    text = str(error)
    for part, remedy in _KNOWN:
        if part in text.lower():
            told = StoreDamaged if remedy is _DAMAGED else StoreError
            return told(f"The telemetry store {path} {remedy.format(name=path.name)}")
    if not path.parent.is_dir():
        return StoreError(
            f"The telemetry store cannot be opened: the folder {path.parent} does not exist."
        )
    return StoreError(f"The telemetry store {path} cannot be used: {text.splitlines()[0][:300]}")


def no_trace(trace_id: str) -> str:
    """Return what is told of a trace that is not there."""
    return (
        f"No trace '{trace_id[:64]}'. Traces appear about a second after the request; list them with "
        "santral traces list."
    )

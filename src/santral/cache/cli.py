"""``santral cache``: what workers keep, what must not be served, and what shadow mode measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from santral.audit.outside import noted
from santral.cache.notes import ShadowNote, measured, notes_folder, read_notes
from santral.cache.switch import kill as kill_entry
from santral.cache.switch import kill_file, killed_keys
from santral.cache.switch import unkill as unkill_entry
from santral.config.cli import ConfigPath
from santral.config.load import load
from santral.errors import NotFound
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table

cache_app = typer.Typer(
    no_args_is_help=True, help="Answers that are kept: look at them, stop them, measure them."
)

Key = Annotated[
    str, typer.Argument(metavar="KEY", help="8 to 64 digits, from `list` or from a trace.")
]

#: Notes older than this are of a worker that has stopped, in seconds. Chosen: unchanged notes are
#: not written again, so age alone says little below a day.
_STALE_S = 86_400


@cache_app.command()
def stats(config: ConfigPath = None) -> None:
    """Show the counters of every worker's caches."""
    rows: list[tuple[str, ...]] = []
    for notes in read_notes(notes_folder(_data_folder(config))):
        age_s = int(time.time() - notes.at_us / 1e6)  # noqa: TID251 - how old is said to a person
        if age_s > _STALE_S:
            continue
        rows += [(notes.worker, name, f"{value:,}") for name, value in notes.counters.items()]
    if not rows:
        typer.echo(_NOTHING, err=True)
    print_table(("worker", "what", "count"), rows)


@cache_app.command("list")
def list_entries(config: ConfigPath = None) -> None:
    """Show the answers used last in each worker, without what they say, and what is killed."""
    folder = _data_folder(config)
    killed = killed_keys(kill_file(folder))
    rows = [
        (
            entry.key,
            notes.worker,
            f"{entry.size_bytes:,}",
            str(entry.expires_in_s),
            f"{entry.cost_nanousd / 1e9:.9f}",
            "killed" if any(entry.key.startswith(key) for key in killed) else "",
        )
        for notes in read_notes(notes_folder(folder))
        for entry in notes.entries
    ]
    print_table(("key", "worker", "bytes", "seconds left", "cost USD", "state"), rows)
    listed = [row[0] for row in rows]
    others = [key for key in killed if not any(one.startswith(key) for one in listed)]
    if others:
        typer.echo(f"killed, kept in no worker's memory: {', '.join(others)}", err=True)


@cache_app.command()
def kill(key: Key, config: ConfigPath = None) -> None:
    """Stop an answer from being served, in every worker within two seconds."""
    _noted(config, "cache.kill", key, kill_entry)
    typer.echo(f"{key} is not served any more. Allow it again: santral cache unkill {key}")


@cache_app.command()
def unkill(key: Key, config: ConfigPath = None) -> None:
    """Allow an answer again that was killed."""
    _noted(config, "cache.unkill", key, _unkill)
    typer.echo(f"{key} may be served again.")


@cache_app.command("shadow-report")
def shadow_report(config: ConfigPath = None) -> None:
    """Show how often the semantic cache would have been wrong, and advise on serving."""
    found = measured(list(read_notes(notes_folder(_data_folder(config)))))
    if not found:
        typer.echo(
            'Nothing was measured yet. Set semantic = { mode = "shadow" } in the [routes.NAME.cache] '
            "of a route, and let it answer for a while.",
            err=True,
        )
    rows = [_shadow_row(note) for _, note in sorted(found.items())]
    columns = ("tenant", "route", "asked", "would serve", "wrong", "false rate, 95 %", "advice")
    print_table(columns, rows)


def _shadow_row(note: ShadowNote) -> tuple[str, ...]:
    seen = note.measured
    low, high = seen.interval
    return (
        note.tenant_id,
        note.route,
        f"{seen.lookups:,}",
        f"{seen.candidates:,} ({seen.hit_rate or 0:.1%})",
        f"{seen.disagreed:,}",
        f"{seen.false_rate or 0:.2%} ({low:.2%} to {high:.2%})",
        _advice(note),
    )


def _advice(note: ShadowNote) -> str:
    if note.measured.may_serve(note.budget):
        return f"may serve: below {note.budget:.2%}"
    if note.measured.interval[0] > note.budget:
        return f"do not serve: above {note.budget:.2%}"
    return f"keep measuring: not yet below {note.budget:.2%}"


_NOTHING = (
    "No worker has left notes yet. They appear some seconds after `santral serve` has answered."
)


def _unkill(file: Path, key: str) -> None:
    if not unkill_entry(file, key):
        raise NotFound(f"'{key}' is not killed. `santral cache list` shows what is.")


def _noted(path: Path | None, action: str, key: str, act: Callable[[Path, str], None]) -> None:
    """Change the kills, and note it in the audit log."""
    config = load(path, os.environ).config
    file = kill_file(config.data.folder)
    actor = local_operator().actor
    noted(config, lambda: act(file, key), actor, action, f"cache_entry:{key[:64]}")


def _data_folder(config: Path | None) -> Path:
    return load(config, os.environ).config.data.folder

"""``santral privacy``: what is kept, and a person's part of it, exported, erased and proved."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.db.session import control_database, with_database
from santral.errors import BadRequest, StoreError
from santral.jobs.job import Job
from santral.privacy.place import Found
from santral.privacy.places.exports import exports_folder
from santral.privacy.policy import (
    INHERIT,
    KeepingRule,
    policy_named,
    set_keeping,
    show_keeping,
)
from santral.privacy.proof import Proof, Signer, encoded, is_about, verify
from santral.privacy.start import start_erasure, start_export
from santral.privacy.subject import Subject, subject_of
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

T = TypeVar("T")

#: Sees a job to its end, here or in the control process, and tells how far it is.
FinishJob = Callable[[Config, Engine, Job, Callable[[Job], None]], Awaitable[Job]]

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="The tenant, by its id.")]
User = Annotated[str, typer.Option(help="The id that the application gives the user.")]
Sessions = Annotated[
    list[str] | None, typer.Option("--session", help="A session that is theirs too; repeat.")
]
Texts = Annotated[
    list[str] | None,
    typer.Option("--text", help="A text such as an e-mail address, in anybody's words; repeat."),
]


def privacy_commands(finish: FinishJob) -> typer.Typer:
    """Return the commands; ``finish`` sees a job to its end."""
    app = typer.Typer(
        no_args_is_help=True, help="What is kept of words, and one person's part of it."
    )
    _add_policy(app)
    _add_person(app, finish)
    _add_proof(app)
    return app


def _add_policy(app: typer.Typer) -> None:
    @app.command("show")
    def show(tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print what is kept of a tenant's words, and for how long."""
        telemetry = _config().telemetry
        by = local_operator()
        _print_rule(_run(lambda engine: show_keeping(engine, tenant, telemetry, by=by)))

    @app.command("payloads")
    def payloads(
        policy: Annotated[str, typer.Argument(help=f"full, redacted, hashes, none, or {INHERIT}.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Say what is kept of prompts and answers from now on; gateways follow within two seconds."""
        telemetry, named, by = _config().telemetry, policy_named(policy), local_operator()
        _print_rule(
            _run(
                lambda engine: set_keeping(engine, tenant, telemetry, _now(), payloads=named, by=by)
            )
        )

    @app.command("retention")
    def retention(
        days: Annotated[str, typer.Argument(help=f"Days, or {INHERIT}.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Say how long traces, payloads, stored responses and files are kept."""
        telemetry, count, by = _config().telemetry, _days(days), local_operator()
        _print_rule(
            _run(
                lambda engine: set_keeping(
                    engine, tenant, telemetry, _now(), retention_days=count, by=by
                )
            )
        )

    del show, payloads, retention  # the application holds them


def _add_person(app: typer.Typer, finish: FinishJob) -> None:
    @app.command("export")
    def export(
        out: Annotated[Path, typer.Option(help="Folder to make; it must not be there yet.")],
        tenant: Tenant = DEFAULT_TENANT,
        user: User = "",
        session: Sessions = None,
        text: Texts = None,
    ) -> None:
        """Write what is one person's own: JSON lines for each place, and an index."""
        if out.exists():
            raise BadRequest(f"{out} is there already. Name a folder that is not.", param="out")
        subject, config, by = (
            subject_of(user, session or [], text or []),
            _config(),
            local_operator(),
        )
        job = _do(
            config,
            finish,
            lambda engine: start_export(engine, tenant, subject, _now(), by=by),
        )
        made = exports_folder(config.data.folder) / job.id
        try:
            shutil.move(made, out)
        except OSError as error:
            raise StoreError(
                f"The export cannot be moved to {out}: {error.strerror or error}. It is in {made}."
            ) from None
        files: dict[str, int] = (job.result or {}).get("files", {})
        for name, count in files.items():
            typer.echo(f"{out / name}: {count}")
        if not files:
            typer.echo("Nothing of this person was found.", err=True)

    @app.command("erase")
    def erase(
        tenant: Tenant = DEFAULT_TENANT,
        user: User = "",
        session: Sessions = None,
        text: Texts = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Count what would go, and change nothing.")
        ] = False,
        proof: Annotated[
            Path | None, typer.Option(help="File for the signed proof; default standard output.")
        ] = None,
    ) -> None:
        """Erase one person everywhere, and print a signed proof."""
        subject, config, by = (
            subject_of(user, session or [], text or []),
            _config(),
            local_operator(),
        )
        job = _do(
            config,
            finish,
            lambda engine: start_erasure(
                engine, tenant, subject, _now(), by=by, is_dry_run=dry_run
            ),
        )
        result = job.result or {}
        if dry_run:
            _print_found(msgspec.convert(result["places"], dict[str, Found]))
            return
        made = encoded(msgspec.convert(result, Proof))
        if proof is None:
            typer.echo(made.decode(), nl=False)
        else:
            proof.write_bytes(made)
            typer.echo(f"Erased. The proof is in {proof}.")

    del export, erase  # the application holds them


def _add_proof(app: typer.Typer) -> None:
    @app.command("verify")
    def verify_proof(
        proof: Annotated[Path, typer.Argument(help="The file of a proof.", exists=True)],
        key: Annotated[
            str, typer.Option(help="Public key in base 64; default this installation's.")
        ] = "",
        user: User = "",
        session: Sessions = None,
        text: Texts = None,
    ) -> None:
        """Say whether a proof is whole and ours, and with --user whether it is about that person."""
        made = verify(proof.read_bytes(), key or Signer(_config()).public_key())
        if user or session or text:
            _check_person(made, subject_of(user, session or [], text or []))
        typer.echo(
            f"The proof of the job {made.job} is whole: tenant '{made.tenant}', {made.finished_at}, "
            f"{made.software}."
        )
        rows = [
            (
                place.name,
                str(sum(place.before.own.values()) + place.before.mentions),
                str(sum(place.after.own.values()) + place.after.mentions),
                "; ".join(place.left),
            )
            for place in made.places
        ]
        print_table(("place", "before", "after", "left to a person"), rows)

    @app.command("key")
    def show_key() -> None:
        """Print the public key by which proofs of this installation are verified."""
        typer.echo(Signer(_config()).public_key())

    del verify_proof, show_key  # the application holds them


def _check_person(proof: Proof, subject: Subject) -> None:
    if not is_about(proof, subject):
        raise BadRequest(
            "The proof is whole, and about somebody else, or the person was looked for by other words. "
            "Give the same --user, --session and --text as then."
        )


def _do(config: Config, finish: FinishJob, start: Callable[[Engine], Awaitable[Job]]) -> Job:
    """Start a job and see it to its end.

    Raises:
        StoreError: it failed or was cancelled.
    """

    async def run() -> Job:
        async with control_database(config) as engine:
            return await finish(config, engine, await start(engine), _tell)

    job = asyncio.run(run())
    if job.state != "done":
        raise StoreError(f"The job {job.id} {job.state}: {job.error or 'somebody ended it'}")
    return job


def _tell(job: Job) -> None:
    if sys.stderr.isatty():
        typer.echo(f"{job.id}: {job.state} {job.progress.step}", err=True)


def _print_rule(rule: KeepingRule) -> None:
    def own(value: object) -> str:
        return "inherited" if value is None else "its own"

    days = "for ever" if rule.retention_days is None else f"{rule.retention_days} days"
    print_table(
        ("tenant", "what", "holds", "whose word"),
        [
            (rule.tenant_id, "payloads", rule.payloads, own(rule.own_payloads)),
            (rule.tenant_id, "retention", days, own(rule.own_retention_days)),
        ],
    )


def _print_found(places: dict[str, Found]) -> None:
    rows = [
        (
            name,
            ", ".join(f"{count} {kind}" for kind, count in found.own.items()),
            str(found.mentions or ""),
            "; ".join(found.left),
        )
        for name, found in places.items()
    ]
    print_table(("place", "own", "mentions", "left to a person"), rows)


def _days(text: str) -> int | None:
    if text == INHERIT:
        return None
    if not text.isdecimal():
        raise BadRequest(f"'{text[:64]}' is no number of days. Give one, or {INHERIT}.")
    return int(text)


def _run(work: Callable[[Engine], Awaitable[T]]) -> T:
    return with_database(os.environ, work)


def _config() -> Config:
    return load(None, os.environ).config


def _now() -> datetime:
    return datetime.now(UTC)

"""``santral review``: queues, rating in the terminal, adjudication, reports and results."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import msgspec
import numpy as np
import typer

from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.db.session import with_database
from santral.errors import BadRequest
from santral.evals.run import decode_run
from santral.jobs.job import Job
from santral.review.add import add_pairs
from santral.review.change import change_queue, create_queue, delete_queue
from santral.review.gold import make_gold
from santral.review.held import Decided, Verb, decide_held
from santral.review.known import QueueLine, list_items, list_queues, show_queue
from santral.review.pairs import pairs_of
from santral.review.rating.submit import adjudicate, skip, submit
from santral.review.rating.take import Taken, take_next
from santral.review.report.report import Report, report_of
from santral.review.report.words import label_rows, rater_rows, said_of
from santral.review.results import add_to_dataset, export
from santral.review.seat import Seat
from santral.review.start import start_look
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.readable import visible

T = TypeVar("T")
FinishJob = Callable[[Config, Engine, Job, Callable[[Job], None]], Awaitable[Job]]
#: Makes a rater's seat of a configuration and its database.
SeatOf = Callable[[Config, Engine], Seat]

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose queue.")]
Name = Annotated[str, typer.Argument(metavar="QUEUE", help="Its name.")]
ItemId = Annotated[str, typer.Argument(metavar="ITEM", help="Its id, as `review next` prints it.")]
Given = Annotated[
    list[str] | None, typer.Argument(metavar="LABEL=VALUE...", help="What you say of it.")
]
File = Annotated[
    Path | None, typer.Option("--from", help="Settings as JSON; - reads them from the input.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SETTING=VALUE", help="One setting; VALUE is JSON, or a text."),
]


def review_commands(seat_of: SeatOf, finish: FinishJob) -> typer.Typer:
    """Return the commands; ``finish`` sees a job to its end."""
    app = typer.Typer(no_args_is_help=True, help="Human review: queues, rating, reports, results.")
    queues = typer.Typer(no_args_is_help=True, help="Queues: make, change, look, delete.")
    _add_queues(queues, finish)
    app.add_typer(queues, name="queues")
    _add_rating(app, seat_of)
    _add_keeping(app, seat_of)
    _add_results(app, seat_of)
    return app


def _add_queues(app: typer.Typer, finish: FinishJob) -> None:
    @app.command("list")
    def list_(tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print the queues of a tenant."""
        found = _run(lambda engine: list_queues(engine, tenant, by=local_operator()))
        print_table(
            ("queue", "open", "disputed", "done", "skipped", "raters", "state"), map(_row, found)
        )

    @app.command("show")
    def show(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print a queue: its settings, and how far it has looked."""
        line = _run(lambda engine: show_queue(engine, tenant, name, by=local_operator()))
        shown: dict[str, Any] = msgspec.to_builtins(line.queue.settings)
        shown.pop("salt", None)
        _print_json({"settings": shown, "progress": msgspec.to_builtins(line.queue.progress)})

    @app.command("create")
    def create(
        name: Name, settings: Settings = None, file: File = None, tenant: Tenant = DEFAULT_TENANT
    ) -> None:
        """Make a queue; its rules look at traces from now on."""
        asked = _settings(settings, file)
        _run(
            lambda engine: create_queue(
                engine, tenant, name, asked, _now(), by=local_operator(), rng=secrets.token_bytes
            )
        )
        typer.echo(f"Made {tenant}/{name}. Rate with: santral review next {name}")

    @app.command("update")
    def update(
        name: Name,
        settings: Settings = None,
        file: File = None,
        pause: Annotated[
            bool | None, typer.Option("--pause/--resume", help="Give nobody items, or again.")
        ] = None,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Change settings; `SETTING=null` takes one back to its default."""
        asked = _settings(settings, file)
        _run(
            lambda engine: change_queue(
                engine, tenant, name, asked, by=local_operator(), now=_now(), is_paused=pause
            )
        )
        typer.echo(f"Changed {tenant}/{name}.")

    @app.command("look")
    def look(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Look through new traces at once; a control process does it every few seconds."""
        config = load(None, os.environ).config

        async def work(engine: Engine) -> Job:
            job = await start_look(
                engine, tenant, name, _now(), by=local_operator(), rng=secrets.token_bytes
            )
            return await finish(config, engine, job, lambda _: None)

        job = with_database(os.environ, work)
        if job.state != "done":
            raise BadRequest(f"The look is {job.state}: {job.error}")
        typer.echo(", ".join(f"{key} {value}" for key, value in (job.result or {}).items()))

    @app.command("delete")
    def delete(
        name: Name,
        tenant: Tenant = DEFAULT_TENANT,
        force: Annotated[bool, typer.Option("--force", help="Although it holds items.")] = False,
    ) -> None:
        """Delete a queue with its items and ratings."""
        _run(
            lambda engine: delete_queue(engine, tenant, name, by=local_operator(), is_forced=force)
        )
        typer.echo(f"Deleted {tenant}/{name}.")

    del list_, show, create, update, look, delete  # the application holds them


def _add_rating(app: typer.Typer, seat_of: SeatOf) -> None:
    @app.command("next")
    def next_(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Take the next item of a queue, or show the one that you hold."""

        async def work(seat: Seat) -> tuple[Taken | None, QueueLine]:
            by = local_operator()
            line = await show_queue(seat.engine, tenant, name, by=by)
            taken = await take_next(
                seat.engine, seat.sealer, tenant, name, _now(), by=by, chance=seat.chance
            )
            return taken, line

        taken, line = _seated(seat_of, work)
        if taken is None:
            typer.echo("Nothing waits for you here.")
            return
        _print_item(taken, line, name)

    @app.command("submit")
    def submit_(
        name: Name,
        item: ItemId,
        given: Given = None,
        comment: Annotated[str, typer.Option(help="Beside the labels.")] = "",
        decision: Annotated[
            str, typer.Option(help="release, replace or refuse an answer that a caller waits for.")
        ] = "",
        replacement: Annotated[str, typer.Option(help="What the caller gets instead.")] = "",
        reason: Annotated[str, typer.Option(help="Of a refusal; the caller is told.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Say what you think of an item that you hold."""
        labels = _pairs(given or [])

        async def work(seat: Seat) -> str:
            by = local_operator()
            if decision:
                decided = Decided(
                    verb=cast("Verb", decision), replacement=replacement, reason=reason
                )
                return await decide_held(seat, tenant, name, item, decided, labels, _now(), by=by)
            return await submit(
                seat.engine, tenant, name, item, labels, _now(), by=by, comment=comment
            )

        typer.echo(f"Kept. The item is {_seated(seat_of, work)}.")

    @app.command("skip")
    def skip_(
        name: Name,
        item: ItemId,
        reason: Annotated[str, typer.Argument(help="Why; a word is enough.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Give an item back; you do not meet it again."""
        _run(lambda engine: skip(engine, tenant, name, item, reason, _now(), by=local_operator()))
        typer.echo("Given back.")

    del next_, submit_, skip_  # the application holds them


def _add_keeping(app: typer.Typer, seat_of: SeatOf) -> None:
    @app.command("items")
    def items(
        name: Name,
        state: Annotated[str, typer.Option(help="Only open, disputed, done or skipped.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=200, help="Most lines.")] = 50,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print items of a queue, the oldest first; gold too, so not for raters."""
        states = cast("Any", (state,) if state else ())
        found = _run(
            lambda engine: list_items(
                engine, tenant, name, states, by=local_operator(), limit=limit
            )
        )
        print_table(
            ("item", "state", "rule", "chance", "gold", "outcome", "trace"),
            [
                (
                    one.id, one.state, one.rule, f"{one.probability:g}",
                    "yes" if one.gold else "", json.dumps(one.outcome) if one.outcome else "",
                    one.trace_id[:12],
                )
                for one in found
            ],
        )  # fmt: skip

    @app.command("adjudicate")
    def adjudicate_(
        name: Name,
        item: ItemId,
        given: Given = None,
        reason: Annotated[str, typer.Option(help="Why.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Decide what raters disagree on, as a third person."""
        labels = _pairs(given or [])
        _run(
            lambda engine: adjudicate(
                engine, tenant, name, item, labels, reason, _now(), by=local_operator()
            )
        )
        typer.echo("Decided.")

    @app.command("gold")
    def gold(name: Name, item: ItemId, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Make a hidden test item of a closed one."""
        made = _seated(
            seat_of,
            lambda seat: make_gold(
                seat.engine, seat.sealer, tenant, name, item, by=local_operator()
            ),
        )
        typer.echo(f"{made.id} is gold: {json.dumps(made.gold)}")

    @app.command("compare")
    def compare(
        name: Name,
        a: Annotated[Path, typer.Argument(help="A run, as `santral eval run` wrote it.")],
        b: Annotated[Path, typer.Argument(help="Another run over the same examples.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Put the answers of two runs into a pairwise queue."""
        pairs = pairs_of(decode_run(a.read_bytes()), decode_run(b.read_bytes()))
        added = _seated(
            seat_of,
            lambda seat: add_pairs(
                seat.engine, seat.sealer, tenant, name, pairs, _now(), by=local_operator()
            ),
        )
        typer.echo(f"{added} of {len(pairs)} pairs were new.")

    del items, adjudicate_, gold, compare  # the application holds them


def _add_results(app: typer.Typer, seat_of: SeatOf) -> None:
    @app.command("report")
    def report(
        name: Name,
        as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print rates of all traffic with intervals, agreement, raters and disagreements."""
        made = _report(tenant, name)
        if as_json:
            _print_json(msgspec.to_builtins(made))
            return
        for line in said_of(made):
            typer.echo(line)
        print_table(("label", "value", "judged", "of traffic", "interval"), label_rows(made))
        print_table(("rater", "done", "skipped", "median s", "gold", "agreement"), rater_rows(made))

    @app.command("agreement")
    def agreement(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print how far raters agree, by label and coefficient, with intervals."""
        rows = [
            (
                label.name, one.method, f"{one.percent:.1%}",
                "-" if one.value is None else f"{one.value:.3f}",
                "-" if one.interval is None
                else f"{one.interval.low:.3f} to {one.interval.high:.3f}",
                str(one.n),
            )
            for label in _report(tenant, name).labels
            for one in label.agreement
        ]  # fmt: skip
        if not rows:
            typer.echo("Fewer than 6 items have two raters: nothing can be said of agreement.")
            return
        print_table(("label", "coefficient", "same", "value", "interval", "items"), rows)

    @app.command("export")
    def export_(
        name: Name,
        form: Annotated[str, typer.Option(help="examples, judged, pairs or labels.")] = "examples",
        out: Annotated[Path | None, typer.Option(help="A file; default the output.")] = None,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Write closed items as JSON lines: examples, a judge's sample, pairs to train on, labels."""
        rows = _seated(
            seat_of,
            lambda seat: export(seat.engine, seat.sealer, tenant, name, form, by=local_operator()),
        )
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.write_text(text, encoding="utf-8")
            typer.echo(f"{len(rows)} lines lie in {out}.", err=True)

    @app.command("add-to-dataset")
    def dataset(
        name: Name,
        to: Annotated[str, typer.Argument(metavar="DATASET", help="A data set that is there.")],
        judged: Annotated[
            bool, typer.Option("--judged", help="With answers and every label, for a judge.")
        ] = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Put closed items into a data set, each with where it comes from."""
        changed = _seated(
            seat_of,
            lambda seat: add_to_dataset(
                seat.engine, seat.sealer, tenant, name, to, _now(), by=local_operator(),
                form="judged" if judged else "examples",
            ),
        )  # fmt: skip
        typer.echo(f"{changed.created} new, {changed.patched} changed, {changed.same} as before.")

    del report, agreement, export_, dataset  # the application holds them


def _report(tenant: str, name: str) -> Report:
    rng = np.random.default_rng(0)
    return _run(lambda engine: report_of(engine, tenant, name, by=local_operator(), rng=rng))


def _run(work: Callable[[Engine], Awaitable[T]]) -> T:
    return with_database(os.environ, work)


def _seated(seat_of: SeatOf, work: Callable[[Seat], Awaitable[T]]) -> T:
    config = load(None, os.environ).config
    return with_database(os.environ, lambda engine: work(seat_of(config, engine)))


def _settings(given: list[str] | None, file: Path | None) -> dict[str, Any]:
    text = "{}" if file is None else file.read_text(encoding="utf-8") if str(file) != "-" else ""
    if file is not None and str(file) == "-":
        text = typer.get_text_stream("stdin").read()
    try:
        read: object = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"{file}: {error}.", code="bad_setting") from None
    if not isinstance(read, dict):
        raise BadRequest(f"{file}: write an object with settings.", code="bad_setting")
    return {**cast("dict[str, Any]", read), **_pairs(given or [])}


def _pairs(given: list[str]) -> dict[str, Any]:
    """Return NAME=VALUE as a mapping; VALUE is JSON, or a text."""
    found: dict[str, Any] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign:
            raise BadRequest(f"'{one}' says nothing. Write NAME=VALUE.")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found


def _print_item(taken: Taken, line: QueueLine, name: str) -> None:
    typer.echo(f"{taken.item_id}, yours until {taken.leased_until:%H:%M} UTC")
    if taken.expires_at:
        typer.echo(f"A caller waits for this answer until {taken.expires_at}.")
    if taken.shown.note:
        typer.echo(f"note: {visible(taken.shown.note)}")
    for one in taken.shown.said:
        typer.echo(f"\n[{one.role}]\n{visible(one.text)}")
    titles = ("answer",) if len(taken.shown.answers) == 1 else ("first", "second")
    for title, text in zip(titles, taken.shown.answers, strict=False):
        typer.echo(f"\n[{title}]\n{visible(text)}")
    if taken.shown.passages:
        typer.echo("\nIt had: " + ", ".join(map(visible, taken.shown.passages)))
    typer.echo("")
    for label in line.queue.settings.labels:
        values = (
            "first, second, tie"
            if label.kind == "preference"
            else ", ".join(map(str, label.values)) or "a text"
        )
        typer.echo(f"{label.name}: {values}{'' if label.is_required else ' (may be left out)'}")
        if label.help:
            typer.echo(f"  {label.help}")
    typer.echo(f"\nSay it with: santral review submit {name} {taken.item_id} LABEL=VALUE")


def _row(line: QueueLine) -> tuple[str, ...]:
    counts = line.counts
    return (
        line.queue.name,
        *(str(counts.get(state, 0)) for state in ("open", "disputed", "done", "skipped")),
        str(line.queue.settings.raters_per_item),
        "paused" if line.queue.is_paused else "on",
    )


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _now() -> datetime:
    return datetime.now(UTC)

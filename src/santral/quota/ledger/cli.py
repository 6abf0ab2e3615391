"""``santral ledger``: what was spent, shown, proved, corrected, compared and exported."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from santral.config.load import load
from santral.db.engine import Engine, reading
from santral.db.session import with_database
from santral.errors import BadRequest
from santral.providers.catalogue.archive import PriceArchive, keep_price_file
from santral.quota.ledger import store
from santral.quota.ledger.draw import (
    COMPARED,
    compared_rows,
    invoice_lines,
    repriced_rows,
    verified_lines,
)
from santral.quota.ledger.export import Format, export_month
from santral.quota.ledger.reconcile.compare import Tolerance, read_report, reconcile
from santral.quota.ledger.reprice import Replay, Repriced, reprice
from santral.quota.ledger.showback import Month, invoice, usd
from santral.quota.ledger.verify import Case, Disagreement, Verified, kept_since, verify
from santral.quota.ledger.write import show_ledger
from santral.tenants.operator import local_operator
from santral.tenants.organise import known_tenant
from santral.tenants.store import list_tenants
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.ask import KEY_VARIABLE, choose_source
from santral.traces.question import parse_since

ledger_app = typer.Typer(no_args_is_help=True, help="Show, prove and export what was spent.")

#: What began so lately may not be in ledger and traces yet, in seconds. Chosen.
_LATELY_S = 60

Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Only this tenant.")]
From = Annotated[str, typer.Option("--from", help="Age such as 7d, or an ISO time; default all.")]
To = Annotated[str, typer.Option("--to", help="Likewise; default a minute ago.")]
PriceFile = Annotated[
    Path | None, typer.Option(help="A price file, or a catalogue ending in .jsonl, to use as well.")
]
AMonth = Annotated[str, typer.Option(help="Of UTC days, as 2026-11.")]


@ledger_app.command("show")
def show_spent(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="By its id.")] = DEFAULT_TENANT,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="One UTC day; default all.")
    ] = None,
) -> None:
    """Print what a tenant used by day, route and model."""
    one_day = None if day is None else day.date()
    rows = with_database(
        os.environ, lambda engine: show_ledger(engine, tenant, one_day, by=local_operator())
    )
    print_table(
        ("day", "route", "model", "attempts", "tokens", "USD", "unpriced", "estimated"),
        [
            (
                on.isoformat(),
                route,
                model,
                str(sums.attempts),
                str(sums.tokens),
                usd(sums.cost_nanousd),
                str(sums.unpriced),
                str(sums.estimated),
            )
            for on, route, model, sums in rows
        ],
    )


@ledger_app.command("verify")
def verify_(
    since: From = "",
    until: To = "",
    tenant: Tenant = None,
    price_file: PriceFile = None,
    key: Annotated[
        str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)
    ] = "",
    url: Annotated[
        str, typer.Option(help="Control process to ask; default from santral.toml.")
    ] = "",
) -> None:
    """Prove that rows, traces and usage times price agree; print every disagreement, exit 1 on one."""
    config = load(None, os.environ).config
    traces = choose_source(config, os.environ, url, key)
    prices = PriceArchive(config.data.folder, price_file)
    now_s = int(datetime.now(UTC).timestamp())

    async def run(engine: Engine) -> Verified:
        span = await _span(engine, since, until, now_s, tenant)
        async with reading(engine) as conn:
            tenants = await list_tenants(conn)
            rows = await store.count_attempts(conn, tenant and [tenant], *span)
        case = Case(
            since_s=span[0],
            until_s=span[1],
            now_s=now_s,
            tenant=tenant,
            keeps_since_s=kept_since(tenants, config.telemetry.retention_days, now_s),
        )
        with _bar("rows", rows) as progress:
            return await verify(engine, traces, prices, case, tell=_tell, progress=progress)

    done = with_database(os.environ, run)
    for line in verified_lines(done):
        typer.echo(line)
    if not done.is_proved:
        raise typer.Exit(1)


@ledger_app.command("reprice")
def reprice_(
    price_version: Annotated[str, typer.Option(help="Version of the prices to replay with.")],
    since: Annotated[str, typer.Option("--from", help="Age such as 7d, or an ISO time.")],
    until: To = "",
    tenant: Tenant = None,
    price_file: PriceFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
) -> None:
    """Replay what was used with other prices; corrections are added, rows stay. Twice is once."""
    config = load(None, os.environ).config
    book = PriceArchive(config.data.folder, price_file).book(price_version)
    if price_file is not None and not dry_run:
        keep_price_file(config.data.folder, price_file)
    now_s = int(datetime.now(UTC).timestamp())

    async def run(engine: Engine) -> list[Repriced]:
        span = await _span(engine, since, until, now_s, tenant)
        tenants = None if tenant is None else [tenant]
        replay = Replay(since_s=span[0], until_s=span[1], tenant_ids=tenants, is_dry_run=dry_run)
        async with reading(engine) as conn:
            rows = await store.count_attempts(conn, tenants, *span)
        with _bar("rows", rows) as progress:
            return await reprice(
                engine, book, replay, actor=local_operator().actor, progress=progress
            )

    done = with_database(os.environ, run)
    heads = ("tenant", "rows", "corrected", "price now known", "still unknown")
    print_table((*heads, "USD before", "USD after", "difference"), repriced_rows(done))
    if dry_run:
        typer.echo("Nothing was written. Without --dry-run the corrections are added.", err=True)


@ledger_app.command("reconcile")
def reconcile_(
    provider: Annotated[str, typer.Argument(help="Its kind, as deployments name it: openai …")],
    file: Annotated[Path, typer.Argument(help="Its usage or cost export, JSON or CSV.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="Percent that two numbers may lie apart.")
    ] = 0.5,
    tolerance_usd: Annotated[
        float, typer.Option(min=0, help="Dollars that are rounding, by day and model.")
    ] = 0.01,
) -> None:
    """Compare the ledger with a provider's own export by UTC day and model; exit 1 where they differ."""
    report = read_report(file)
    bounds = Tolerance(percent=Decimal(str(tolerance)), usd=Decimal(str(tolerance_usd)))
    done = with_database(os.environ, lambda engine: reconcile(engine, provider, report, bounds))
    if report.unread:
        typer.echo(f"Not read, since nobody here knows them: {', '.join(report.unread)}", err=True)
    if report.has_more:
        typer.echo("The export says has_more: further pages are missing.", err=True)
    if done.differences:
        print_table(COMPARED, compared_rows(done.differences))
    days = "no day" if report.days is None else f"{report.days[0]} to {report.days[1]}"
    far = sum(not one.is_tolerated for one in done.differences)
    typer.echo(
        f"{report.shape}, {days}: {done.compared} numbers compared, {len(done.differences)} differ, "
        f"{far} by more than {tolerance:g} % and what is rounding."
    )
    if done.unpriced:
        typer.echo(f"{done.unpriced} rows of the ledger have no price: see santral ledger reprice.")
    if far or report.has_more:
        raise typer.Exit(1)


@ledger_app.command("export")
def export(
    month: AMonth,
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    tenant: Tenant = None,
    form: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
) -> None:
    """Write a month's rows for each tenant, and what they sum to by tag, prompt and model."""
    meant, chosen = Month.parse(month), _format(form)

    async def run(engine: Engine) -> list[Path]:
        if tenant is not None:
            await _known(engine, tenant)
        tenants = None if tenant is None else [tenant]
        async with reading(engine) as conn:
            rows = await store.count_attempts(conn, tenants, meant.since_s, meant.until_s)
        with _bar("rows", rows) as progress:
            return await export_month(
                engine, meant, out, form=chosen, tenants=tenants, progress=progress
            )

    paths = with_database(os.environ, run)
    if not paths:
        typer.echo(f"Nobody used anything in {meant}.", err=True)
    for path in paths:
        typer.echo(str(path))


@ledger_app.command("invoice")
def invoice_(
    month: AMonth,
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="By its id.")] = DEFAULT_TENANT,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Print what a tenant and those beneath it pay for a month, by model, to the last digit."""
    if form not in ("text", "json"):
        raise BadRequest(f"--format is '{form}'. Use text or json.", param="format")
    made = with_database(
        os.environ,
        lambda engine: invoice(engine, tenant, Month.parse(month), by=local_operator()),
    )
    if form == "json":
        typer.echo(msgspec.json.encode(made).decode())
        return
    for line in invoice_lines(made):
        typer.echo(line)


async def _span(
    engine: Engine, since: str, until: str, now_s: int, tenant: str | None
) -> tuple[int, int]:
    """Return the window that is meant, in whole seconds; without a start it begins with the ledger."""
    if tenant is not None:
        await _known(engine, tenant)
    now_us = now_s * 1_000_000
    end = parse_since(until, now_us) // 1_000_000 if until else now_s - _LATELY_S
    if since:
        start = parse_since(since, now_us) // 1_000_000
        if start >= end:
            raise BadRequest("--from lies after --to. Swap them.", param="from")
        return start, end
    async with reading(engine) as conn:
        first = await store.first_s(conn)
    return min(end, first if first is not None else end), end


async def _known(engine: Engine, tenant: str) -> None:
    """Raise where no tenant is called so and no row of the ledger names it."""
    async with reading(engine) as conn:
        if not await store.count_attempts(conn, [tenant], 0, 2**62):
            await known_tenant(conn, tenant)


def _format(form: str) -> Format:
    if form == "csv" or form == "parquet":
        return form
    raise BadRequest(f"--format is '{form}'. Use csv or parquet.", param="format")


def _tell(found: Disagreement) -> None:
    trace = f"  trace {found.trace_id}" if found.trace_id else ""
    place = f"tenant {found.tenant_id}  request {found.request_id}  attempt {found.attempt}{trace}"
    typer.echo(f"{found.what}  {place}  {found.detail}".rstrip())


@contextmanager
def _bar(name: str, total: int) -> Generator[Callable[[int], None]]:
    """Show a bar on a terminal, and nothing elsewhere: output may go into a pipe."""
    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(name, total=total)
        yield lambda rows: bars.advance(task, rows)

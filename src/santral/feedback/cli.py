"""``santral feedback``: what users said of answers."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from santral.config.load import load
from santral.feedback.rates import FeedbackRates, Rate, feedback_rates
from santral.tenants.table import print_table
from santral.traces.ask import KEY_VARIABLE, ControlProcess, StoppedStore, choose_source
from santral.traces.question import parse_since
from santral.traces.readable import visible
from santral.traces.scores.store import RateFilters

feedback_app = typer.Typer(no_args_is_help=True, help="See what users said of answers.")
_COLUMNS = ("of", "score", "said by", "answers", "rated", "rate", "mean", "positive (95 %)")


@feedback_app.callback()
def feedback() -> None:
    """See what users said of answers."""


@feedback_app.command("show")
def show(
    route: Annotated[str, typer.Option(help="Only this route.")] = "",
    since: Annotated[str, typer.Option(help="Age such as 24h, 7d, or an ISO time.")] = "7d",
    by: Annotated[
        str, typer.Option(help="Apart by route, prompt or variant; empty: all together.")
    ] = "prompt",
    prompt: Annotated[str, typer.Option(help="Only answers with this prompt.")] = "",
    variant: Annotated[str, typer.Option(help="Only this variant of an experiment.")] = "",
    name: Annotated[str, typer.Option(help="Only this score, such as thumbs.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Only this tenant.")] = "",
    key: Annotated[
        str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)
    ] = "",
    url: Annotated[str, typer.Option(help="Control process to ask; default santral.toml's.")] = "",
) -> None:
    """Print scores as rates: of how many answers, how many were rated, and how well."""
    if by not in ("", "route", "prompt", "variant"):
        raise typer.BadParameter(f"--by is '{by}'. Use route, prompt or variant.")
    asked = {
        "route": route, "since": since, "by": by, "prompt": prompt, "variant": variant,
        "name": name, "tenant": tenant,
    }  # fmt: skip
    found = _rates(choose_source(load(None, os.environ).config, os.environ, url, key), asked)
    total = sum(found.responses.values())
    if not found.rates:
        typer.echo(f"None of {total:,} answers since {since} was scored.", err=True)
        return
    print_table(_COLUMNS, map(_row, found.rates))
    rated = {rate.part for rate in found.rates}
    for part in sorted(set(found.responses) - rated):
        typer.echo(f"{visible(part) or '-'}: {found.responses[part]:,} answers, none scored")


def _rates(source: Any, asked: Mapping[str, str]) -> FeedbackRates:
    if isinstance(source, ControlProcess):
        query = urllib.parse.urlencode({k: v for k, v in asked.items() if v})
        return msgspec.json.decode(source.get(f"/api/feedback?{query}"), type=FeedbackRates)
    assert isinstance(source, StoppedStore)  # noqa: S101 - there are these two

    async def ask(store: Any) -> FeedbackRates:
        filters = RateFilters(
            since_us=parse_since(asked["since"], store.clock()),
            until_us=store.clock() + 1,
            **{name: asked[name] for name in ("route", "prompt", "variant", "name")},
        )
        by: Any = asked["by"]
        return await feedback_rates(store, asked["tenant"] or None, filters, by)

    return source.ask(ask)


def _row(rate: Rate) -> tuple[str, ...]:
    share = "-"
    if rate.share_positive is not None and rate.interval is not None:
        low, high = rate.interval.low, rate.interval.high
        share = f"{rate.share_positive:.0%} ({low:.0%} to {high:.0%})"
    said_by = f"{rate.source} {rate.evaluator_version}".strip()
    return (
        visible(rate.part) or "all",
        visible(rate.name),
        visible(said_by),
        f"{rate.responses:,}",
        f"{rate.rated:,}",
        "-" if rate.response_rate is None else f"{rate.response_rate:.1%}",
        "-" if rate.mean is None else f"{rate.mean:.2f}",
        share,
    )

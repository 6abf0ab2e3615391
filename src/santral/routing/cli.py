"""``santral routes``: where requests go and why; train the judge of complexity; compare shadows."""

from __future__ import annotations

import os
import random  # noqa: TID251 - explaining draws like a worker does
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from santral.config.load import load
from santral.errors import BadRequest, NotFound, SantralError
from santral.routing.compare import Comparison, compare, pairs_of
from santral.routing.complexity_train import (
    Example,
    Scores,
    measure,
    read_examples,
    train,
    write_classifier,
)
from santral.routing.explain import Explanation, explain, find, routes_of, rules_of
from santral.routing.route import Route, Rung
from santral.tenants.table import print_table
from santral.traces.ask import KEY_VARIABLE, choose_source
from santral.traces.record import SHADOW_SUFFIX, TraceRecord
from santral.wire.chat import ChatCall, parse_chat

routes_app = typer.Typer(no_args_is_help=True, help="See, explain, train and compare routing.")

#: Every fifth example is kept back to measure on.
_KEPT_BACK = 5


@routes_app.command("list")
def list_routes() -> None:
    """Print every route: its rungs, how deployments share them, and what else decides."""
    config = load(None, os.environ).config
    routes = routes_of(config, time.time)  # noqa: TID251 - which prices are in force today
    rows = [row for name in config.routes for row in _rows(routes[name])]
    if not rows:
        typer.echo("No route is declared; every deployment answers under its own name.", err=True)
        return
    print_table(("route", "rung", "strategy", "deployments", "decided by"), rows)


@routes_app.command("explain")
def explain_request(
    request: Annotated[Path, typer.Argument(help="A chat request as JSON.")],
    route: Annotated[str, typer.Option(help="Route; default is the request's model.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Id of the tenant that asks.")] = "",
) -> None:
    """Print how a request would be routed, and why; nothing is asked and no server is needed."""
    config = load(None, os.environ).config
    call = _read_call(request)
    routes = routes_of(config, time.time)  # noqa: TID251 - which prices are in force today
    chosen = find(routes, route or call.view.model)
    found = explain(chosen, call, random.Random(0), tenant=tenant)  # noqa: S311 - the same each time
    for line in lines_of(found):
        typer.echo(line)
    if found.refusal:
        raise typer.Exit(1)


@routes_app.command("train")
def train_classifier(
    source: Annotated[
        Path, typer.Option("--from", help='JSON lines: {"text": ..., "tier": ...} or "label".')
    ],
    out: Annotated[Path, typer.Option(help="Where to write it.")] = Path("complexity.toml"),
    tiers: Annotated[
        str, typer.Option(help="Names of tiers in the file, easiest first, comma between.")
    ] = "",
) -> None:
    """Train the classifier of complexity on your own requests and say how well it does."""
    names = [name.strip() for name in tiers.split(",") if name.strip()]
    examples = read_examples(source, names)
    learnt: list[Example] = []
    kept: list[Example] = []
    random.Random(0).shuffle(examples)  # noqa: S311 - the same file gives the same classifier
    for number, example in enumerate(examples):
        (kept if number % _KEPT_BACK == 0 else learnt).append(example)
    with Progress(transient=True) as progress:
        task = progress.add_task("training", total=2)
        scores = measure(train(learnt, source.name), kept)
        progress.advance(task)
        classifier = train(examples, source.name)
    card = {"made_by": "santral routes train", "from": source.name, "examples": len(examples)}
    held_out = {"accuracy": round(scores.accuracy, 3), "auc": round(scores.auc, 3)}
    write_classifier(out, classifier, {**card, "held_out": held_out})
    for line in _measured(scores):
        typer.echo(line)
    typer.echo(f'Wrote {out}. Use it with: [routes.NAME.complexity] model = "{out}"')


@routes_app.command("compare")
def compare_shadows(
    route: Annotated[str, typer.Option(help="The route whose copies to compare.")],
    since: Annotated[str, typer.Option(help="Age such as 15m, 24h, 7d, or an ISO time.")] = "24h",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most copies looked at.")] = 200,
    key: Annotated[
        str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)
    ] = "",
    url: Annotated[str, typer.Option(help="Control process; default from santral.toml.")] = "",
) -> None:
    """Print how shadow deployments did beside those that answered, for the same requests."""
    source = choose_source(load(None, os.environ).config, os.environ, url, key)
    asked = {"route": f"{route}{SHADOW_SUFFIX}", "since": since, "limit": str(limit)}
    page = source.list_traces(asked)

    def get(trace_id: str) -> TraceRecord | None:
        try:
            return source.get_trace(trace_id).trace
        except NotFound:
            return None

    rows = [_compared(c) for c in compare(pairs_of(page.traces, get))]
    if not rows:
        typer.echo(
            f"No copies of '{route}' since {since}. Is [routes.{route}.shadow] set?", err=True
        )
        return
    columns = ("shadow", "pairs", "failed", "ms", "real ms", "USD", "real USD", "likeness")
    print_table(columns, rows)


def lines_of(found: Explanation) -> Iterator[str]:
    """Yield what an explanation says, a line each."""
    yield f"route       {found.route}"
    judged = found.judgement
    if judged is not None:
        yield f"tier        {found.tier} (score {judged.score:.3f})"
        yield f"rules       {'; '.join(judged.rules) or 'none fired'}"
        shown = judged.shown().items()
        yield f"features    {', '.join(f'{name} {value:g}' for name, value in shown)}"
    demand = found.demand
    if demand.needs:
        yield f"needs       {', '.join(sorted(demand.needs))}"
    if demand.input_tokens:
        yield f"input       some {demand.input_tokens} tokens"
    if demand.unit:
        yield f"unit        {demand.unit}"
    if found.given_up:
        yield f"dropped     {', '.join(found.given_up)}: no deployment of the route can"
    for number, step in enumerate(found.steps, 1):
        yield f"{number:>2}. {step.deployment}  {step.why}"
    for skip in found.skipped:
        yield f"  - {skip.deployment}  {skip.reason}"
    if found.refusal:
        yield f"refused     {found.refusal}"


def _rows(route: Route) -> Iterator[tuple[str, ...]]:
    decided = _decided_by(route)
    for number, rung in enumerate(rules_of(route).rungs, 1):
        first = (route.name, decided) if number == 1 else ("", "")
        yield first[0], rung.name or str(number), rung.strategy, _shares(rung), first[1]


def _shares(rung: Rung) -> str:
    shares = [f"{deployment.name} {weight:g}" for deployment, weight in rung.entries]
    trials = [f"{deployment.name} {percent:g} % on trial" for deployment, percent in rung.canary]
    return ", ".join([*shares, *trials])


def _decided_by(route: Route) -> str:
    rules = rules_of(route)
    found = [
        f"complexity ({' < '.join(rules.tiers.names)})" if rules.tiers else "",
        "session" if rules.is_sticky else "",
        f"regions {', '.join(sorted(rules.regions))}" if rules.regions is not None else "",
        f"quality >= {rules.min_quality:g}" if rules.min_quality is not None else "",
        f"ability ({', '.join(sorted(rules.lacked))})" if rules.lacked else "",
        f"window ({rules.least_context})" if rules.least_context is not None else "",
    ]
    if rules.shadow is not None:
        copied = ", ".join(deployment.name for deployment in rules.shadow.deployments)
        found.append(f"shadow {copied} {rules.shadow.settings.share:.0%}")
    return "; ".join(part for part in found if part) or "-"


def _read_call(path: Path) -> ChatCall:
    try:
        return parse_chat(path.read_bytes())
    except OSError as error:
        raise BadRequest(f"{path}: cannot be read: {error.strerror}") from None
    except SantralError as error:
        raise BadRequest(f"{path}: {error.message}") from None


def _measured(scores: Scores) -> Iterator[str]:
    yield f"held out    {scores.examples} examples, {scores.hard} of them hard"
    yield f"accuracy    {scores.accuracy:.3f}"
    yield f"found hard  {scores.recall_hard:.3f}"
    yield f"found easy  {scores.recall_easy:.3f}"
    yield f"auc         {scores.auc:.3f}"
    yield f"calibration off by {scores.calibration_error:.3f} on average"


def _compared(found: Comparison) -> tuple[str, ...]:
    return (
        found.deployment,
        str(found.pairs),
        str(found.failed),
        _number(found.shadow_ms, 0),
        _number(found.real_ms, 0),
        _number(found.shadow_nanousd, 6, 1e-9),
        _number(found.real_nanousd, 6, 1e-9),
        _number(found.likeness, 2),
    )


def _number(value: float | None, digits: int, scale: float = 1.0) -> str:
    return "-" if value is None else f"{value * scale:.{digits}f}"

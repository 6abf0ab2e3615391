"""``santral retrieval``: how good a collection's answers are, and which settings do better."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec
import numpy as np
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from santral.audit.note import note
from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine, reading, writing
from santral.db.session import control_database
from santral.errors import BadRequest, NotFound
from santral.retrieval.access import as_administrator
from santral.retrieval.collections.cli import parse_settings
from santral.retrieval.evaluation import store
from santral.retrieval.evaluation.generate import question_by_model, questions_by_rules
from santral.retrieval.evaluation.learn import learn
from santral.retrieval.evaluation.questions import Case, QuestionSet, load_questions
from santral.retrieval.evaluation.report import as_json, misses_of, rows_of, verdict
from santral.retrieval.evaluation.run import Run, run_questions
from santral.retrieval.evaluation.store import KeptRun
from santral.retrieval.evaluation.tune import Recommendation, tune
from santral.retrieval.library import Library, Shelf
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.retriever import Retriever
from santral.retrieval.search.reword import AskModel
from santral.retrieval.search.weights import default_weights
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT


class Opened(Protocol):
    """The retrieval of this process, as the composition root opens it."""

    @property
    def library(self) -> Library:
        """What is open."""
        ...

    @property
    def retriever(self) -> Retriever:
        """What searches it."""
        ...

    @property
    def ask(self) -> AskModel:
        """What asks the model of a route."""
        ...


OpenRetrieval: TypeAlias = Callable[[Config, Engine], AbstractAsyncContextManager[Opened]]

Collection = Annotated[str, typer.Option("--collection", "-C", help="The collection to ask.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose collection.")]
Dataset = Annotated[
    Path,
    typer.Option(
        "--dataset", "-d", help="Questions: a JSONL file, or a folder of queries and judgements."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="OPTION=VALUE",
        help="An option of the search, e.g. rerank=learned or top_k=8; repeatable.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]

#: Questions without an answer given that are listed. Chosen: a screen of them.
_MOST_MISSES = 10


def retrieval_commands(open_retrieval: OpenRetrieval) -> typer.Typer:
    """Return the commands; ``open_retrieval`` opens every collection with its models."""
    app = typer.Typer(
        no_args_is_help=True, help="How good a collection's answers are, with numbers."
    )

    @app.command("eval")
    def evaluate(
        dataset: Dataset,
        collection: Collection = "docs",
        tenant: Tenant = DEFAULT_TENANT,
        settings: Settings = None,
        keep: Annotated[bool, typer.Option(help="Keep the run, for comparisons.")] = True,
        json: AsJson = False,
    ) -> None:
        """Ask every question of a set, and measure what is found and what a model would be given."""
        questions = load_questions(dataset)
        given = parse_settings(settings or [])
        run = _with(
            open_retrieval,
            lambda opened, engine: _evaluate(
                opened, engine, tenant, collection, questions, given, keep
            ),
        )
        _print_run(run, json)

    @app.command("tune")
    def tune_(
        dataset: Dataset,
        collection: Collection = "docs",
        tenant: Tenant = DEFAULT_TENANT,
        settings: Settings = None,
        json: AsJson = False,
    ) -> None:
        """Try settings on one half of the questions, and say what held on the other."""
        questions = load_questions(dataset)
        given = parse_settings(settings or [])
        found = _with(
            open_retrieval,
            lambda opened, engine: _tune(opened, tenant, collection, questions, given),
        )
        _print_recommendation(found, collection, json)

    @app.command("questions")
    def questions_(
        out: Annotated[Path, typer.Option("--out", "-o", help="JSONL file to write.")],
        collection: Collection = "docs",
        tenant: Tenant = DEFAULT_TENANT,
        count: Annotated[int, typer.Option(min=1, max=10_000, help="Most questions.")] = 100,
        seed: Annotated[int, typer.Option(help="Another one draws other questions.")] = 1,
        route: Annotated[str, typer.Option(help="Let the model of this route ask them.")] = "",
    ) -> None:
        """Make questions of the documents, by rules or by a model, where nobody has asked any yet."""
        if out.exists():
            raise BadRequest(f"{out} is there already. Name another file.", code="file_exists")
        made = _with(
            open_retrieval,
            lambda opened, engine: _questions(
                opened, engine, tenant, collection, count, seed, route
            ),
        )
        lines = [msgspec.json.encode(case) + b"\n" for case in made.cases]
        out.write_bytes(b"".join(lines))
        typer.echo(
            f"Wrote {len(lines)} questions to {out}. Compare settings with them, and collect people's "
            "own questions before you quote a quality: made ones share words with their answers."
        )

    @app.command("runs")
    def runs(
        collection: Collection = "docs", tenant: Tenant = DEFAULT_TENANT, json: AsJson = False
    ) -> None:
        """List the runs that were kept, the newest first."""
        kept = asyncio.run(_runs(tenant, collection))
        if json:
            typer.echo(msgspec.json.encode(kept).decode())
            return
        print_table(
            ("when", "version", "questions", "ndcg@10", "recall@10", "context recall", "settings"),
            [_run_cells(one) for one in kept],
        )

    del evaluate, tune_, questions_, runs  # the app holds them
    return app


async def _evaluate(
    opened: Opened,
    engine: Engine,
    tenant: str,
    collection: str,
    questions: QuestionSet,
    given: dict[str, Any],
    keep: bool,
) -> Run:
    shelf = _shelf(opened, tenant, collection)
    options = _options(opened, shelf, given)
    owner = shelf.collection.tenant_id
    with _bar("asking") as show:
        run = await run_questions(
            opened.retriever, owner, collection, questions, options,
            on_progress=lambda done, total: show(done, total, ""),
        )  # fmt: skip
    if keep:
        await _keep(engine, shelf, questions, run)
    return run


async def _tune(
    opened: Opened, tenant: str, collection: str, questions: QuestionSet, given: dict[str, Any]
) -> Recommendation:
    shelf = _shelf(opened, tenant, collection)
    owner = shelf.collection.tenant_id

    async def run(asked: QuestionSet, options: SearchOptions) -> Run:
        return await run_questions(opened.retriever, owner, collection, asked, options)

    async def taught(asked: QuestionSet, options: SearchOptions) -> Sequence[Mapping[str, Any]]:
        languages = shelf.reader.state.languages
        card = None if shelf.model is None else shelf.model.card
        known = replace(options, weights=options.weights or default_weights(card, languages))
        return await learn(opened.retriever, owner, collection, asked, known, languages)

    try:
        with _bar("trying") as show:
            return await tune(questions, _options(opened, shelf, given), run, taught, on_try=show)
    except ValueError as error:
        raise BadRequest(str(error), code="too_few_questions") from None


async def _questions(
    opened: Opened,
    engine: Engine,
    tenant: str,
    collection: str,
    count: int,
    seed: int,
    route: str,
) -> QuestionSet:
    shelf = _shelf(opened, tenant, collection)
    async with reading(engine) as conn:
        passages = await store.list_passages(
            conn, shelf.collection.tenant_id, collection, shelf.version.version
        )
    rng = np.random.default_rng(seed)
    if not route:
        return QuestionSet(collection, tuple(questions_by_rules(passages, count, rng)), "")
    drawn: list[int] = rng.permutation(len(passages))[:count].tolist()
    made: list[Case] = []
    with _bar("asking") as show:
        for number, place in enumerate(drawn):
            show(number, len(drawn), "")
            case = await question_by_model(partial(opened.ask, route), passages[place])
            made += [] if case is None else [case]
    return QuestionSet(collection, tuple(made), "")


async def _runs(tenant: str, collection: str) -> list[KeptRun]:
    async with control_database(load(None, os.environ).config) as engine, reading(engine) as conn:
        return await store.list_runs(conn, tenant, collection)


async def _keep(engine: Engine, shelf: Shelf, questions: QuestionSet, run: Run) -> None:
    found = as_json(run)
    kept = KeptRun(
        id=f"run_{secrets.token_hex(8)}",
        collection=shelf.collection.name,
        version=shelf.version.version,
        dataset=questions.name,
        dataset_digest=questions.digest,
        settings=found["settings"],
        measures=found["measures"] | {"latency_ms": found["latency_ms"], "tokens": run.tokens},
        created_by=local_operator().actor.name,
        created_at=datetime.now(UTC),
    )
    async with writing(engine) as conn:
        await store.insert_run(conn, shelf.collection.tenant_id, kept)
        await note(
            conn,
            local_operator().actor,
            "collections.evaluate",
            f"collection:{kept.collection}",
            tenant_id=shelf.collection.tenant_id,
            after={"run": kept.id, "dataset": kept.dataset, "questions": len(run.asked)},
        )


def _shelf(opened: Opened, tenant: str, collection: str) -> Shelf:
    shelf = opened.library.find(tenant, collection)
    if shelf is None:
        raise NotFound(
            f"Nothing was published of '{collection}' yet. Fill it with: "
            f"santral ingest PATH --collection {collection}",
            code="collection_empty",
        )
    return shelf


def _options(opened: Opened, shelf: Shelf, given: dict[str, Any]) -> SearchOptions:
    scope = as_administrator(shelf.collection.tenant_id, shelf.collection.name)
    return opened.retriever.options(scope, given, place="--set")


def _with(open_retrieval: OpenRetrieval, work: Callable[[Opened, Engine], Any]) -> Any:
    async def run() -> Any:
        config = load(None, os.environ).config
        async with control_database(config) as engine, open_retrieval(config, engine) as opened:
            return await work(opened, engine)

    return asyncio.run(run())


@contextmanager
def _bar(doing: str) -> Generator[Callable[[int, int, str], None]]:
    """Show progress on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, what: None
        return
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn())
    what = TextColumn("{task.fields[what]}", style="dim", markup=False)
    with Bars(*columns, TimeElapsedColumn(), what, console=console) as bars:
        task = bars.add_task(doing, total=None, what="")
        yield lambda done, total, what: bars.update(
            task, completed=done, total=total, what=what[-40:]
        )


def _print_run(run: Run, is_json: bool) -> None:
    if is_json:
        typer.echo(msgspec.json.encode(as_json(run)).decode())
        return
    print_table(("measure", "%", "95 %", "questions", "what it says"), rows_of(run))
    spent = run.latency_ms()
    typer.echo(
        f"A search took {spent['p50']:.1f} ms (p95 {spent['p95']:.1f}, p99 {spent['p99']:.1f}, CPU "
        f"{spent['cpu']:.1f}) and gave {run.tokens:.0f} tokens on average."
    )
    for question, document in misses_of(run, _MOST_MISSES):
        typer.echo(f"  not given: {question}  ({document})")


def _print_recommendation(found: Recommendation, collection: str, is_json: bool) -> None:
    changes = msgspec.to_builtins(found.changes)
    if is_json:
        said = {
            "changes": changes,
            "is_better": found.is_better,
            "gain": msgspec.to_builtins(found.gain),
            "before": as_json(found.before),
            "after": as_json(found.after),
            "tries": msgspec.to_builtins(found.tries),
        }
        typer.echo(msgspec.json.encode(said).decode())
        return
    typer.echo(verdict(found))
    for name, value in changes.items() if found.is_better else ():
        setting = name if name == "weights" else f"search.{name}"
        shown = msgspec.json.encode(value).decode()
        typer.echo(f"  santral collections set {collection} '{setting}={shown}'")


def _run_cells(kept: KeptRun) -> Sequence[str]:
    def mean(name: str) -> str:
        found = kept.measures.get(name)
        return f"{100 * found['mean']:.1f}" if found else ""

    return (
        f"{kept.created_at:%Y-%m-%d %H:%M}",
        str(kept.version),
        kept.dataset,
        mean("ndcg@10"),
        mean("recall@10"),
        mean("context_recall"),
        " ".join(f"{name}={value}" for name, value in kept.settings.items()),
    )

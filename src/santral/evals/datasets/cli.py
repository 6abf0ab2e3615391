"""``santral datasets``: make, fill, look through, rework, commit and export data sets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress as Bars

from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine, reading
from santral.db.session import control_database, with_database
from santral.errors import BadRequest, NotFound
from santral.evals.answer import Ask
from santral.evals.datasets.augment import WAYS
from santral.evals.datasets.card import markdown
from santral.evals.datasets.change import (
    OnExisting,
    add_examples,
    create_dataset,
    delete_dataset,
    delete_example,
    example_history,
    examples_page,
    list_datasets,
    show_dataset,
)
from santral.evals.datasets.dataset import Changed, Provenance, Revision
from santral.evals.datasets.export import FORMATS, format_of, write_examples
from santral.evals.datasets.files import examples_of_rows
from santral.evals.datasets.generate import Generated, generate_by_model, generate_by_rules
from santral.evals.datasets.label import load_functions
from santral.evals.datasets.printed import print_check, print_labelled
from santral.evals.datasets.purse import Purse
from santral.evals.datasets.rework import (
    augment_dataset,
    check_dataset,
    held_now,
    label_dataset,
    mask_dataset,
    split_dataset,
)
from santral.evals.datasets.shape import Rest, parse_mapping
from santral.evals.datasets.splits import parse_shares
from santral.evals.datasets.take_in import Import, import_file
from santral.evals.datasets.traces import Wanted, add_traces, parse_filters
from santral.evals.datasets.versions import (
    commit_version,
    diff_versions,
    draft_card,
    version_card,
)
from santral.retrieval.collections.store import find_collection
from santral.retrieval.evaluation.generate import Passage
from santral.retrieval.evaluation.store import list_passages
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT, TenantId
from santral.traces.ask import KEY_VARIABLE, choose_source
from santral.traces.question import FoundTrace, TracePage

#: Opens a gateway for a tenant, which answers questions.
OpenAsk: TypeAlias = Callable[[LoadedConfig, Engine, TenantId], AbstractAsyncContextManager[Ask]]

Name = Annotated[str, typer.Argument(metavar="DATASET", help="Its name.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose data set.")]
Version = Annotated[
    int | None, typer.Option(help="A version; 0: what is there now.", show_default="the newest")
]
Route = Annotated[str, typer.Option(help="The route of a model that is asked.")]
MostUsd = Annotated[
    float | None, typer.Option("--max-usd", min=0, help="Stop when so much is spent.")
]
Seed = Annotated[int, typer.Option(help="Of what is drawn.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Although it holds examples.")]

#: Ids that a difference lists of each kind, and letters of a question in a list. Chosen: a screen.
_MOST_IDS, _SHOWN = 20, 60


def datasets_commands(open_ask: OpenAsk) -> typer.Typer:
    """Return the commands; ``open_ask`` opens the gateway that writes and paraphrases."""
    app = typer.Typer(
        no_args_is_help=True, help="Data sets: examples, their revisions, versions that stay."
    )
    for add in (_add_sets, _add_filling, _add_versions, _add_rework):
        add(app)
    _add_made(app, open_ask)
    return app


def _add_sets(app: typer.Typer) -> None:
    @app.command("create")
    def create(
        name: Name,
        description: Annotated[str, typer.Option(help="What it is for.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make an empty data set."""
        _with(
            lambda engine: create_dataset(
                engine, tenant, name, _now(), by=local_operator(), description=description
            )
        )
        typer.echo(f"Made {tenant}/{name}. Fill it with: santral datasets import {name} FILE")

    @app.command("list")
    def list_(tenant: Tenant = DEFAULT_TENANT) -> None:
        """Print the data sets of a tenant."""
        found = _with(lambda engine: list_datasets(engine, tenant, by=local_operator()))
        rows = [(x.dataset.name, str(x.examples), str(x.newest or "")) for x in found]
        print_table(("data set", "examples", "version"), rows)

    @app.command("show")
    def show(
        name: Name,
        after: Annotated[str, typer.Option(help="Begin after this example's id.")] = "",
        limit: Annotated[int, typer.Option(min=0, max=500, help="Most examples.")] = 20,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print a data set: its versions, and examples by id."""
        line = _with(lambda engine: show_dataset(engine, tenant, name, by=local_operator()))
        typer.echo(
            f"{tenant}/{name}: {line.examples} examples. {line.dataset.description}".rstrip()
        )
        print_table(
            ("version", "examples", "manifest", "note"),
            [
                (str(v.version), str(v.examples), v.manifest_hash[:12], v.note)
                for v in line.versions
            ],
        )
        page = _with(
            lambda engine: examples_page(
                engine, tenant, name, by=local_operator(), after=after, limit=limit
            )
        )
        print_table(("example", "revision", "split", "from", "asks"), map(_cells, page))

    @app.command("history")
    def history(
        name: Name,
        example: Annotated[str, typer.Argument(help="The example's id.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print every revision of an example, the newest first."""
        found = _with(
            lambda engine: example_history(engine, tenant, name, example, by=local_operator())
        )
        print_table(
            ("revision", "kind", "when", "by", "split", "asks"),
            [
                (str(x.revision), x.kind, f"{x.created_at:%Y-%m-%d %H:%M}", x.created_by, x.split,
                 _asks(x))
                for x in found
            ],
        )  # fmt: skip

    @app.command("delete")
    def delete(name: Name, force: Force = False, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Delete a data set with every revision and version."""
        line = _with(
            lambda engine: delete_dataset(
                engine, tenant, name, by=local_operator(), is_forced=force
            )
        )
        typer.echo(f"Deleted {tenant}/{name} with {line.examples} examples.")

    del create, list_, show, history, delete  # the application holds them


def _add_filling(app: typer.Typer) -> None:
    @app.command("add")
    def add(
        name: Name,
        example: Annotated[
            list[str],
            typer.Argument(metavar="JSON...", help='As {"input": "...", "expected": "..."}'),
        ],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Add examples that are written out, or new revisions of those whose ids are there."""
        rows = [(f"example {n}", _json(text)) for n, text in enumerate(example, 1)]
        made = [(one, Provenance()) for one in examples_of_rows(rows, "the command line")]
        changed = _with(
            lambda engine: add_examples(engine, tenant, name, made, _now(), by=local_operator())
        )
        _say_changed(changed)

    @app.command("import")
    def import_(
        name: Name,
        file: Annotated[Path, typer.Argument(help="JSONL, CSV, TSV or Parquet.")],
        map_: Annotated[
            list[str] | None,
            typer.Option("--map", metavar="FIELD=COLUMN", help="As input=question; repeatable."),
        ] = None,
        rest: Annotated[
            str, typer.Option(help="Columns that are no field: refuse, metadata or drop.")
        ] = "refuse",
        skip_bad: Annotated[
            bool,
            typer.Option("--skip-bad", help="Leave rows out that are wrong, and say how many."),
        ] = False,
        split: Annotated[str, typer.Option(help="Of rows that name none.")] = "",
        existing: Annotated[
            str, typer.Option(help="Ids that are there: replace, keep or refuse.")
        ] = "replace",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Add the examples of a file; nothing is added when a row is wrong."""
        how = Import(
            mapping=parse_mapping(map_ or []),
            rest=_one_of(Rest, rest, "rest"),
            skips_bad=skip_bad,
            split=split,
            on_existing=_one_of(OnExisting, existing, "existing"),
        )
        with _bar("writing") as told:
            done = _with(
                lambda engine: import_file(
                    engine, tenant, name, file, how, _now(), by=local_operator(), told=told
                )
            )
        _say_changed(done.changed)
        if done.skipped:
            typer.echo(f"{done.skipped} rows were left out:", err=True)
            for fault in done.faults:
                typer.echo(f"  {fault}", err=True)

    @app.command("add-traces")
    def add_traces_(
        name: Name,
        route: Annotated[str, typer.Option(help="Only this route.")] = "",
        since: Annotated[str, typer.Option(help="Age such as 24h, 7d, or an ISO time.")] = "24h",
        status: Annotated[str, typer.Option(help="ok, error, 4xx or a status.")] = "ok",
        filter_: Annotated[
            list[str] | None,
            typer.Option(
                "--filter",
                metavar="FIELD=VALUE",
                help="A field of the trace, tag.NAME or score.NAME; also <= and >=; repeatable.",
            ),
        ] = None,
        with_answer: Annotated[
            bool, typer.Option("--with-answer", help="The answer given is what is expected.")
        ] = False,
        limit: Annotated[int, typer.Option(min=1, max=5_000, help="Most examples.")] = 200,
        tenant: Tenant = DEFAULT_TENANT,
        key: Annotated[
            str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)
        ] = "",
        url: Annotated[str, typer.Option(help="Control process to ask.")] = "",
    ) -> None:
        """Make examples of traces: what was kept of them, masked as it was kept."""
        source = choose_source(load(None, os.environ).config, os.environ, url, key)
        asked = {"tenant": tenant, "route": route, "since": since, "status": status, "limit": "200"}

        async def list_traces(cursor: str) -> TracePage:
            return await asyncio.to_thread(source.list_traces, {**asked, "before": cursor})

        async def get_trace(trace_id: str) -> FoundTrace:
            return await asyncio.to_thread(source.get_trace, trace_id)

        wanted = Wanted(filters=parse_filters(filter_ or []), with_answer=with_answer, limit=limit)
        taken = _with(
            lambda engine: add_traces(
                engine, tenant, name, list_traces, get_trace, wanted, _now(), by=local_operator()
            )
        )
        _say_changed(taken.changed)
        _say_left_out(taken.left_out)

    @app.command("remove")
    def remove(
        name: Name,
        example: Annotated[str, typer.Argument(help="The example's id.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Take an example out of what later versions hold."""
        _with(
            lambda engine: delete_example(
                engine, tenant, name, example, _now(), by=local_operator()
            )
        )
        typer.echo(f"Took {example} out. Versions that hold it keep it.")

    del add, import_, add_traces_, remove  # the application holds them


def _add_versions(app: typer.Typer) -> None:
    @app.command("commit")
    def commit(
        name: Name,
        note: Annotated[str, typer.Option("--note", "-m", help="What has changed.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make a version of what is there now; it never changes."""
        made, is_new = _with(
            lambda engine: commit_version(
                engine, tenant, name, _now(), by=local_operator(), note_=note
            )
        )
        said = "Made" if is_new else "Nothing has changed since"
        typer.echo(f"{said} {name}@{made.version}: {made.examples} examples, {made.manifest_hash}")

    @app.command("diff")
    def diff(
        name: Name,
        before: Annotated[int, typer.Argument(min=1, help="The older version.")],
        after: Annotated[
            int | None,
            typer.Argument(min=1, help="The newer one.", show_default="what is there now"),
        ] = None,
        as_json: AsJson = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print which examples are new, gone, changed or in another split."""
        found = _with(
            lambda engine: diff_versions(engine, tenant, name, before, after, by=local_operator())
        )
        if as_json:
            _print_json(found)
            return
        for what in ("added", "removed", "changed", "moved"):
            ids: list[str] = getattr(found, what)
            more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
            typer.echo(
                f"{what}: {len(ids)}" + "".join(f"\n  {id_}" for id_ in ids[:_MOST_IDS]) + more
            )

    @app.command("card")
    def card(
        name: Name,
        version: Version = None,
        as_json: AsJson = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print the statistics of a version as Markdown or JSON."""
        found = _with(
            lambda engine: (
                draft_card(engine, tenant, name, by=local_operator())
                if version == 0
                else version_card(engine, tenant, name, version, by=local_operator())
            )
        )
        if as_json:
            _print_json(found)
        else:
            typer.echo(markdown(found), nl=False)

    @app.command("export")
    def export(
        name: Name,
        file: Annotated[Path, typer.Argument(help="Where to write; its ending says the format.")],
        version: Version = None,
        format_: Annotated[
            str,
            typer.Option("--format", help=f"{', '.join(FORMATS)}; chat and dpo are for training."),
        ] = "",
        split: Annotated[str, typer.Option(help="Only this split.")] = "",
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Write the examples of a version into a file."""
        as_ = format_of(file, format_)
        held = _with(
            lambda engine: held_now(engine, tenant, name, by=local_operator(), version=version)
        )
        chosen = [one for one in held if not split or one.split == split]
        typer.echo(f"Wrote {write_examples(file, chosen, as_)} examples into {file}.")

    del commit, diff, card, export  # the application holds them


def _add_rework(app: typer.Typer) -> None:
    @app.command("split")
    def split(
        name: Name,
        shares: Annotated[
            str, typer.Argument(help="As train=0.8,test=0.2.")
        ] = "train=0.8,test=0.2",
        stratify: Annotated[
            str, typer.Option(help="A metadata field whose values have these shares each.")
        ] = "",
        anew: Annotated[
            bool, typer.Option("--anew", help="Decide also about those that have a split.")
        ] = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Give every example a split: families and near-duplicates stay together."""
        counts = _with(
            lambda engine: split_dataset(
                engine, tenant, name, parse_shares(shares), _now(), by=local_operator(),
                stratify=stratify, is_kept=not anew,
            )
        )  # fmt: skip
        print_table(("split", "examples"), [(key, str(n)) for key, n in counts.items()])

    @app.command("check")
    def check(
        name: Name,
        version: Version = 0,
        prompts: Annotated[
            Path | None, typer.Option(help="A folder of prompts that may give answers away.")
        ] = None,
        mask: Annotated[
            bool, typer.Option("--mask", help="Replace personal data in new revisions.")
        ] = False,
        as_json: AsJson = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Look for near-duplicates, leaks and personal data. Exit status 1 where there are some."""
        texts = _texts_in(prompts)
        found = _with(
            lambda engine: check_dataset(
                engine, tenant, name, by=local_operator(), version=version, prompts=texts
            )
        )
        if as_json:
            _print_json(found)
        else:
            print_check(found)
        if mask:
            _say_changed(
                _with(
                    lambda engine: mask_dataset(engine, tenant, name, _now(), by=local_operator())
                )
            )
        elif not found.is_clean:
            raise typer.Exit(1)

    @app.command("label")
    def label(
        name: Name,
        field: Annotated[str, typer.Argument(help="The metadata field that is written.")],
        functions: Annotated[
            list[str], typer.Argument(metavar="FILE.py:FUNCTION...", help="They run as you.")
        ],
        majority: Annotated[
            bool, typer.Option("--majority", help="In place of the weighted vote.")
        ] = False,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Label examples by functions, and print what each did and where they disagree."""
        known = load_functions(functions)
        found = _with(
            lambda engine: label_dataset(
                engine, tenant, name, field, known, _now(), by=local_operator(),
                is_majority=majority,
            )
        )  # fmt: skip
        print_labelled(found)

    del split, check, label  # the application holds them


def _add_made(app: typer.Typer, open_ask: OpenAsk) -> None:
    @app.command("augment")
    def augment(
        name: Name,
        ways: Annotated[list[str], typer.Argument(metavar="WAY...", help=", ".join(WAYS))],
        per_example: Annotated[int, typer.Option(min=1, max=20, help="Most of each way.")] = 1,
        split: Annotated[str, typer.Option(help="Only of examples in this split.")] = "",
        route: Route = "",
        max_usd: MostUsd = None,
        seed: Seed = 0,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make further examples, of one family with those they are made from."""
        purse = _purse(max_usd)

        async def work(loaded: LoadedConfig, engine: Engine, ask: Ask | None) -> Changed:
            with _bar("examples") as told:
                made, changed = await augment_dataset(
                    engine, tenant, name, ways, np.random.default_rng(seed), _now(),
                    by=local_operator(), per_example=per_example, split=split, ask=ask,
                    route=route, purse=purse, told=told,
                )  # fmt: skip
            _say_left_out(made.left_out, made.cost_nanousd)
            return changed

        _say_changed(_asking(open_ask if route else None, tenant, work))

    @app.command("generate")
    def generate(
        name: Name,
        collection: Annotated[str, typer.Option("--collection", "-C", help="Its documents.")],
        count: Annotated[int, typer.Option("--count", "-n", min=1, help="Examples to make.")] = 50,
        route: Route = "",
        max_usd: MostUsd = None,
        seed: Seed = 0,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Make examples of a collection's documents: by rules, or by the model of a route."""
        purse = _purse(max_usd)

        async def work(loaded: LoadedConfig, engine: Engine, ask: Ask | None) -> Changed:
            passages = await _passages(engine, tenant, collection)
            rng = np.random.default_rng(seed)
            made: Generated
            if ask is None:
                made = generate_by_rules(passages, collection, count, rng)
            else:
                with _bar("examples", count) as told:
                    made = await generate_by_model(
                        passages, collection, count, rng,
                        ask=ask, route=route, purse=purse, told=told,
                    )  # fmt: skip
            _say_left_out(made.left_out, made.cost_nanousd)
            return await add_examples(
                engine, tenant, name, made.made, _now(), by=local_operator(), act="generate"
            )

        _say_changed(_asking(open_ask if route else None, tenant, work))

    del augment, generate  # the application holds them


_Work: TypeAlias = Callable[[LoadedConfig, Engine, Ask | None], Awaitable[Changed]]


def _asking(open_ask: OpenAsk | None, tenant: str, work: _Work) -> Changed:
    loaded = load(None, os.environ)

    async def run() -> Changed:
        async with control_database(loaded.config) as engine:
            if open_ask is None:
                return await work(loaded, engine, None)
            async with open_ask(loaded, engine, TenantId(tenant)) as ask:
                return await work(loaded, engine, ask)

    return asyncio.run(run())


async def _passages(engine: Engine, tenant: str, collection: str) -> list[Passage]:
    async with reading(engine) as conn:
        known = await find_collection(conn, tenant, collection)
        if known is None or not known.active_version:
            raise NotFound(
                f"There is no collection '{collection}' with documents. "
                "List them with: santral collections list",
                code="collection_not_found",
            )
        return await list_passages(conn, tenant, collection, known.active_version)


def _with(work: Callable[[Engine], Awaitable[Any]]) -> Any:
    return with_database(os.environ, work)


def _purse(max_usd: float | None) -> Purse:
    return Purse(None if max_usd is None else round(max_usd * 1e9))


def _texts_in(folder: Path | None) -> Mapping[str, str]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder of prompts.")
    files = sorted(folder.rglob("*.md"))
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}


def _json(text: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadRequest(f"'{text[:64]}' is no JSON object: {error}.") from None


def _one_of(kind: Any, value: str, option: str) -> Any:
    try:
        return msgspec.convert(value, cast("type[str]", kind))
    except msgspec.ValidationError:
        raise BadRequest(f"--{option} is '{value}'. See --help.", param=option) from None


@contextmanager
def _bar(what: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Bars(console=console, transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done, description=f"{what} {done:,}")


def _cells(one: Revision) -> tuple[str, ...]:
    origin = one.provenance.origin if one.provenance else "hand"
    return one.example_id, str(one.revision), one.split, origin, _asks(one)


def _asks(one: Revision) -> str:
    if one.content is None:
        return "(erased)" if one.kind == "erase" else "(deleted)"
    text = " ".join(one.content.question.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _say_changed(changed: Changed) -> None:
    typer.echo(f"Examples: {changed}.")


def _say_left_out(left_out: Mapping[str, int], cost_nanousd: int = 0) -> None:
    for why, count in left_out.items():
        typer.echo(f"{count} left out: {why}", err=True)
    if cost_nanousd:
        typer.echo(f"Spent ${cost_nanousd / 1e9:.4f}.", err=True)


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _now() -> datetime:
    return datetime.now(UTC)

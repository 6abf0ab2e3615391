"""Commands that make examples out of others, and out of documents, perhaps by a model."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import numpy as np
import typer

from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine, reading
from santral.db.session import control_database
from santral.errors import NotFound
from santral.evals.answer import Ask
from santral.evals.datasets.augment import WAYS
from santral.evals.datasets.change import add_examples
from santral.evals.datasets.commands.options import Name, Tenant
from santral.evals.datasets.dataset import Changed
from santral.evals.datasets.generate import Generated, generate_by_model, generate_by_rules
from santral.evals.datasets.printed import print_changed, print_left_out, shown_bar
from santral.evals.datasets.purse import Purse
from santral.evals.datasets.rework import augment_dataset
from santral.retrieval.collections.store import find_collection
from santral.retrieval.evaluation.generate import Passage
from santral.retrieval.evaluation.store import list_passages
from santral.tenants.operator import local_operator
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

#: Opens a gateway for a tenant, which answers questions.
OpenAsk: TypeAlias = Callable[[LoadedConfig, Engine, TenantId], AbstractAsyncContextManager[Ask]]

Route = Annotated[str, typer.Option(help="The route of a model that is asked.")]
MostUsd = Annotated[
    float | None, typer.Option("--max-usd", min=0, help="Stop when so much is spent.")
]
Seed = Annotated[int, typer.Option(help="Of what is drawn.")]


def add_made(app: typer.Typer, open_ask: OpenAsk) -> None:
    """Add what makes examples; ``open_ask`` opens the gateway that is asked."""

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
            with shown_bar("examples") as told:
                made, changed = await augment_dataset(
                    engine, tenant, name, ways, np.random.default_rng(seed), _now(),
                    by=local_operator(), per_example=per_example, split=split, ask=ask,
                    route=route, purse=purse, told=told,
                )  # fmt: skip
            print_left_out(made.left_out, made.cost_nanousd)
            return changed

        print_changed(_asking(open_ask if route else None, tenant, work))

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
                with shown_bar("examples", count) as told:
                    made = await generate_by_model(
                        passages, collection, count, rng,
                        ask=ask, route=route, purse=purse, told=told,
                    )  # fmt: skip
            print_left_out(made.left_out, made.cost_nanousd)
            return await add_examples(
                engine, tenant, name, made.made, _now(), by=local_operator(), act="generate"
            )

        print_changed(_asking(open_ask if route else None, tenant, work))

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


def _purse(max_usd: float | None) -> Purse:
    return Purse(None if max_usd is None else round(max_usd * 1e9))


def _now() -> datetime:
    return datetime.now(UTC)

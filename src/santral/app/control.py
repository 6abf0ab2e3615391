"""The control role: admin API, console and collector; the only process that opens the trace store."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import nullcontext
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from santral.app.access import access_file, wait_for_file
from santral.app.authority import Authority
from santral.app.channel import Ready
from santral.app.ingesting import workplace
from santral.app.jobs import runner_of, sealer_of
from santral.app.keyless import KeylessAddresses
from santral.app.retrieval import Retrieval, opened_retrieval
from santral.app.reviewing import LOOK_EVERY_S, review_upkeep
from santral.app.seats import seat_of
from santral.app.server import Server, serve
from santral.app.sign_in import build_sign_in
from santral.app.sinks import sinks_of
from santral.app.station import Station
from santral.app.upkeep import upkeep
from santral.audit.api import audit_router
from santral.config.load import LoadedConfig
from santral.config.schema import Config
from santral.console.pages import console_router
from santral.db.engine import Engine, connect, database_url
from santral.errors import BadRequest, SantralError
from santral.evals.api import evals_router
from santral.evals.calibration.api import judges_router
from santral.evals.datasets.api import datasets_router
from santral.evals.drift.api import monitors_router
from santral.experiments.api import experiments_router
from santral.experiments.watch import Watch as ExperimentWatch
from santral.feedback.api import feedback_router
from santral.feedback.implicit import ImplicitSignals
from santral.jobs.api import jobs_router
from santral.privacy.api import privacy_router
from santral.prompts.api import prompts_router
from santral.prompts.library import PromptLibrary, inspect_prompts
from santral.quota.api import limits_router
from santral.quota.budgets.api import budgets_router
from santral.quota.budgets.watch import Watch, sender_of
from santral.quota.ledger.api import ledger_router
from santral.quota.limits import default_rules
from santral.retrieval.collections.api import collections_router
from santral.retrieval.collections.dropping import dropping
from santral.retrieval.ingest.api import documents_router
from santral.retrieval.ingest.job import OpenPlace
from santral.retrieval.ingest.refresh import start_refresh
from santral.retrieval.library import Library
from santral.retrieval.search.api import OpenRetrieval, search_router
from santral.retrieval.sources.api import hooks_router, sources_router
from santral.review.api import review_router
from santral.secrets.api import secrets_router
from santral.secrets.wrappers import wrappers_from
from santral.tenants.api import tenants_router
from santral.tenants.key import MARK
from santral.tenants.users.api import users_router
from santral.traces.api import traces_router
from santral.traces.collector import Collector
from santral.traces.metrics import CONTENT_TYPE, Metrics
from santral.traces.readers.api import readers_router
from santral.traces.store import TraceStore
from santral.traces.trouble import StoreDamaged
from santral.web.errors import openai_error

log = logging.getLogger(__name__)

#: Faults of one request that an answer names, and how much of a name it shows. Chosen.
_MOST_FAULTS, _LONGEST_NAME = 20, 64

#: How often the control process looks for new versions of collections. Chosen: workers do it as often.
_LOOK_EVERY_S = 1.0


def build_app(
    loaded: LoadedConfig,
    engine: Engine,
    store: TraceStore,
    metrics: Metrics,
    open_place: OpenPlace | None = None,
    retrieval: Retrieval | None = None,
) -> FastAPI:
    """Return the ASGI application of the control process.

    ``open_place`` gives its workplace to whoever pushes documents, ``retrieval`` what is open to who
    searches; else each push and each search opens its own.
    """
    sign_in = build_sign_in(loaded.config)
    authority = Authority(engine, loaded.config, sign_in=sign_in)
    app = FastAPI(
        title="Santral admin API",
        version="1",
        docs_url=None,
        openapi_url="/api/openapi.json",
        redoc_url=None,
    )
    app.include_router(traces_router(store, authority))
    app.include_router(tenants_router(engine, authority))
    app.include_router(users_router(engine, authority))
    app.include_router(limits_router(engine, authority))
    app.include_router(ledger_router(engine, store, authority))
    declared = partial(default_rules, loaded.config.limits)
    app.include_router(budgets_router(engine, authority, declared=declared))
    app.include_router(jobs_router(engine, authority))
    config = loaded.config
    app.include_router(evals_router(engine, config.evals.folder, authority))
    app.include_router(judges_router(engine, authority))
    app.include_router(datasets_router(engine, store, authority))
    app.include_router(collections_router(engine, config, authority, drop=dropping(config)))
    app.include_router(prompts_router(engine, partial(_prompts_of, config), authority))
    at_work = open_place or partial(workplace, config, engine)
    app.include_router(search_router(engine, authority, _retrieval(config, engine, retrieval)))
    app.include_router(documents_router(engine, at_work, authority))
    app.include_router(sources_router(engine, config.sources, authority, start=start_refresh))
    app.include_router(hooks_router(engine))
    app.include_router(monitors_router(engine, authority))
    app.include_router(review_router(seat_of(config, engine), store, authority))
    app.include_router(experiments_router(engine, config, store, authority))
    app.include_router(readers_router(store, authority))
    app.include_router(feedback_router(store, authority))
    app.include_router(privacy_router(engine, authority, loaded.config))
    app.include_router(audit_router(engine, authority))
    wrappers = partial(wrappers_from, loaded.config.secrets)
    app.include_router(secrets_router(engine, wrappers, authority))
    app.include_router(
        console_router(
            engine,
            store,
            loaded.config,
            identify=authority.identify,
            origin=authority.origin,
            clock=time.time,
            sign_in=sign_in,
            retriever=None if retrieval is None else retrieval.retriever,
        )
    )
    app.add_middleware(KeylessAddresses)
    app.add_exception_handler(SantralError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)

    @app.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    del live, ready, show_metrics  # the application holds them
    return app


def _prompts_of(config: Config) -> PromptLibrary:
    """Return the folder's prompts as they are now; a file with a fault is left out, as gateways do."""
    return inspect_prompts(config.prompts.folder)[0]


def _retrieval(config: Config, engine: Engine, retrieval: Retrieval | None) -> OpenRetrieval:
    if retrieval is None:
        return partial(opened_retrieval, config, engine)
    return partial(nullcontext[Retrieval], retrieval)


async def _follow(library: Library) -> None:
    """Open what is published, for searches of administrators."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        await library.refresh()


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, SantralError):
        raise error
    status, headers, body = openai_error(error)
    lines = {name.decode(): value.decode() for name, value in headers}
    return Response(body, status, lines, "application/json")


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """Name every field that is wrong, unknown ones too; never echo what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [
        f"{'.'.join(_named(part) for part in item['loc'] if part != 'body')}: {item['msg']}"
        for item in error.errors()[:_MOST_FAULTS]
    ]
    return await _answer_error(request, BadRequest("; ".join(faults), code="invalid_request"))


def _named(part: int | str) -> str:
    """Return a field's name as far as it can be shown: whoever sent it chose it."""
    name = str(part)[:_LONGEST_NAME]
    return name if name.isprintable() and MARK not in name else "…"


async def _open(store: TraceStore) -> None:
    """Open the store; keys, limits and the data plane go on without one that is damaged."""
    try:
        await store.open()
    except StoreDamaged as error:  # the collector tries again, and the spool keeps what is new
        log.error("telemetry_store_damaged", extra={"error": error.message})


def _watch(config: Config, engine: Engine, metrics: Metrics) -> Watch:
    tries = metrics["santral_alerts_total"]
    return Watch(engine, sender_of(config), count=lambda outcome, n: tries.child(outcome).inc(n))


async def run_control(loaded: LoadedConfig, station: Station) -> None:
    """Run the control process at its station until a signal."""
    config = loaded.config
    engine = connect(database_url(config))
    path = config.data.folder / "telemetry.duckdb"
    store = TraceStore(path, sealer=sealer_of(config, engine))
    metrics = Metrics()
    try:
        await wait_for_file(access_file(config))
        await _open(store)
        collector = Collector(config.data.folder / "spool", store, sinks_of(config, engine))
        collector.watch(metrics)

        async def collect() -> None:
            await collector.run(config.telemetry.collect_every_s)

        kept = upkeep(config, engine)  # opens the sealed secrets that what follows may need
        async with (
            workplace(config, engine) as place,
            opened_retrieval(config, engine) as retrieval,
        ):
            open_place = partial(nullcontext, place)
            runner = runner_of(config, engine, store, collector, open_place)
            app = build_app(loaded, engine, store, metrics, open_place, retrieval)
            server = Server(
                app, config.server.drain_s, lambda _: None, lambda: station.tell(Ready())
            )
            watch = partial(_watch(config, engine, metrics).run, config.alerts.look_every_s)
            follow = partial(_follow, retrieval.library)
            acts = metrics["santral_experiment_acts_total"]
            experiments = ExperimentWatch(
                engine, store, config, count=lambda outcome: acts.child(outcome).inc()
            )
            review = partial(review_upkeep(config, engine, store).run, LOOK_EVERY_S)
            signals = ImplicitSignals(store, config.feedback).run
            watched = [watch, experiments.run]
            work = [collect, signals, runner.run, follow, review, *watched, *kept]
            await serve(server, [*station.sockets], work)
        await collector.finish()  # what the gateway spooled while it drained
    finally:
        await store.close()
        await engine.dispose()

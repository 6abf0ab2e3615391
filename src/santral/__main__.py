"""``santral …``: gathers the commands of every folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from santral.app.check import check_servable
from santral.app.serve import serve
from santral.config.load import load
from santral.config.secret import SEALED
from santral.errors import SantralError

HELP = "Santral: the exchange between applications and language models."


def serve_app() -> typer.Typer:
    """Return ``santral serve`` alone: a worker starts without importing what other commands need."""
    app = _empty()
    app.command("serve")(serve)
    return app


def full_app() -> typer.Typer:
    """Return every command."""
    # Imported here, so that `serve` does not pay for them at every start.
    from santral.app.evaluating import opened_gateway  # noqa: PLC0415
    from santral.app.evaluations import evaluation_place  # noqa: PLC0415
    from santral.app.jobs import finish_here, finish_job  # noqa: PLC0415
    from santral.app.litellm.command import import_app  # noqa: PLC0415
    from santral.app.restart import restart  # noqa: PLC0415
    from santral.app.retrieval import opened_retrieval  # noqa: PLC0415
    from santral.app.seats import seat_of  # noqa: PLC0415
    from santral.audit.cli import audit_commands  # noqa: PLC0415
    from santral.cache.cli import cache_app  # noqa: PLC0415
    from santral.config.cli import config_commands  # noqa: PLC0415
    from santral.db.cli import db_app  # noqa: PLC0415
    from santral.evals.calibration.cli import judges_commands  # noqa: PLC0415
    from santral.evals.cli import eval_commands  # noqa: PLC0415
    from santral.evals.datasets.cli import datasets_commands  # noqa: PLC0415
    from santral.evals.drift.cli import monitors_commands  # noqa: PLC0415
    from santral.experiments.cli import experiments_app  # noqa: PLC0415
    from santral.feedback.cli import feedback_app  # noqa: PLC0415
    from santral.guardrails.cli import guardrails_app  # noqa: PLC0415
    from santral.jobs.cli import jobs_app  # noqa: PLC0415
    from santral.privacy.cli import privacy_commands  # noqa: PLC0415
    from santral.prompts.cli import prompts_app  # noqa: PLC0415
    from santral.providers.catalogue.cli import prices_app  # noqa: PLC0415
    from santral.providers.cli import providers_app  # noqa: PLC0415
    from santral.quota.budgets.cli import alerts_app, print_budgets  # noqa: PLC0415
    from santral.quota.cli import budgets_app, limits_app  # noqa: PLC0415
    from santral.quota.ledger.cli import ledger_app  # noqa: PLC0415
    from santral.retrieval.collections.cli import collections_app  # noqa: PLC0415
    from santral.retrieval.embedding.cli import models_app  # noqa: PLC0415
    from santral.retrieval.evaluation.cli import retrieval_commands  # noqa: PLC0415
    from santral.retrieval.ingest.cli import (  # noqa: PLC0415
        add_documents,
        add_upkeep,
        ingest_command,
    )
    from santral.retrieval.ingest.refresh import start_refresh  # noqa: PLC0415
    from santral.retrieval.reading.cli import chunk  # noqa: PLC0415
    from santral.retrieval.search.cli import search_command  # noqa: PLC0415
    from santral.retrieval.sources.cli import sources_commands  # noqa: PLC0415
    from santral.review.cli import review_commands  # noqa: PLC0415
    from santral.routing.cli import routes_app  # noqa: PLC0415
    from santral.secrets.cli import secrets_commands  # noqa: PLC0415
    from santral.tenants.cli import keys_app, tenants_app  # noqa: PLC0415
    from santral.tenants.operator import local_operator  # noqa: PLC0415
    from santral.tenants.table import print_table  # noqa: PLC0415
    from santral.tenants.users.cli import users_app  # noqa: PLC0415
    from santral.traces.cli import traces_app  # noqa: PLC0415
    from santral.traces.readers.cli import documents_app  # noqa: PLC0415

    SEALED.when_needed(_open_sealed)
    app = _empty()
    app.command("serve")(serve)
    app.command("restart")(restart)
    app.command("ingest")(ingest_command(finish_job, finish_here))
    app.command("search")(search_command(opened_retrieval))
    app.add_typer(audit_commands(print_table, lambda: local_operator().actor), name="audit")
    app.add_typer(cache_app, name="cache")
    add_upkeep(collections_app, finish_job)
    collections_app.command("chunk")(chunk)
    app.add_typer(collections_app, name="collections")
    app.add_typer(config_commands(check_servable), name="config")
    app.add_typer(datasets_commands(opened_gateway), name="datasets")
    app.add_typer(db_app, name="db")
    add_documents(documents_app, finish_job)
    app.add_typer(documents_app, name="documents")
    app.add_typer(eval_commands(evaluation_place), name="eval")
    app.add_typer(experiments_app, name="experiments")
    app.add_typer(feedback_app, name="feedback")
    app.add_typer(guardrails_app, name="guardrails")
    app.add_typer(import_app, name="import")
    app.add_typer(jobs_app, name="jobs")
    app.add_typer(judges_commands(evaluation_place), name="judges")
    app.add_typer(keys_app, name="keys")
    app.add_typer(ledger_app, name="ledger")
    app.add_typer(limits_app, name="limits")
    budgets_app.command("show")(print_budgets)
    app.add_typer(budgets_app, name="budgets")
    app.add_typer(alerts_app, name="alerts")
    app.add_typer(models_app, name="models")
    app.add_typer(monitors_commands(finish_job), name="monitors")
    app.add_typer(prices_app, name="prices")
    app.add_typer(privacy_commands(finish_job), name="privacy")
    app.add_typer(prompts_app, name="prompts")
    app.add_typer(providers_app, name="providers")
    app.add_typer(retrieval_commands(opened_retrieval), name="retrieval")
    app.add_typer(review_commands(seat_of, finish_job), name="review")
    app.add_typer(routes_app, name="routes")
    app.add_typer(secrets_commands(print_table, lambda: local_operator().actor), name="secrets")
    app.add_typer(sources_commands(finish_job, start_refresh), name="sources")
    app.add_typer(tenants_app, name="tenants")
    app.add_typer(traces_app, name="traces")
    app.add_typer(users_app, name="users")
    return app


def _open_sealed() -> Mapping[str, str]:
    """Open the sealed secrets of the configuration, for the commands that need one."""
    from santral.app.sealing import open_sealed  # noqa: PLC0415

    return open_sealed(load(None, os.environ).config)


def main() -> None:
    """Run the command line; an error that a person can act on is one sentence and exit status 1."""
    app = serve_app() if "serve" in sys.argv[1:4:2] else full_app()
    try:
        app()
    except SantralError as error:
        from rich.console import Console  # noqa: PLC0415 - 10 ms of every other start

        stderr = Console(stderr=True, highlight=False)
        stderr.print(f"santral: {error.message}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)


def _empty() -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=HELP)
    app.callback()(_choose_config)
    return app


def _choose_config(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The santral.toml to read; default ./santral.toml."),
    ] = None,
) -> None:
    """Remember which configuration every command reads."""
    if config is not None:
        os.environ["SANTRAL_CONFIG"] = str(config)


if __name__ == "__main__":
    main()

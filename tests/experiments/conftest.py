"""Both databases, for experiments that people make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server

from santral.config.schema import Config

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

#: Routes and one experiment of the file.
CONFIG = Config.model_validate(
    {
        "providers": {"stub": {"kind": "local"}},
        "deployments": {
            "mini": {"provider": "stub", "model": "extract"},
            "maxi": {"provider": "stub", "model": "extract"},
        },
        "routes": {
            "ask": {"ladder": [{"deployments": {"mini": 1}}]},
            "other": {"ladder": [{"deployments": {"mini": 1}}], "experiment": "declared"},
        },
        "experiments": {
            "declared": {
                "salt": "s",
                "variants": {
                    "a": {"weight": 1},
                    "b": {"weight": 1, "settings": {"temperature": 0}},
                },
            }
        },
    }
)


def settings(**changes: Any) -> dict[str, Any]:
    """Return the settings of an experiment on the route ``ask``."""
    plain: dict[str, Any] = {
        "routes": ["ask"],
        "variants": {"plain": {"weight": 1}, "new": {"weight": 1, "route": "maxi"}},
    }
    return {**plain, **changes}

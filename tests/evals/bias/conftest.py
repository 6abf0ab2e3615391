"""A database on SQLite."""

from __future__ import annotations

from tests.evals.runner.conftest import anyio_backend, sqlite_engine, sqlite_template

__all__ = ["anyio_backend", "sqlite_engine", "sqlite_template"]

from __future__ import annotations

from tests.db.databases import anyio_backend

__all__ = ["anyio_backend"]

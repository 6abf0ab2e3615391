"""What a gateway worker does without: it starts sooner and is smaller."""

from __future__ import annotations

import subprocess
import sys

#: 25 MB and 0.2 s (sqlalchemy), 33 MB (duckdb), models and servers that most do not have.
ABSENT = ("sqlalchemy", "duckdb", "fastapi", "scipy", "onnxruntime", "asyncpg", "qdrant_client")


def test_a_worker_loads_nothing_that_it_does_not_need() -> None:
    code = f"import sys, santral.app.gateway; print(*({set(ABSENT)!r} & sys.modules.keys()))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.split() == []

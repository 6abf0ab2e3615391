"""A real PostgreSQL for tests: started on a free port, stopped at the end, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import asyncpg
import pytest

INSTALL = "apt-get install -y postgresql"
ROLE = "santral"

#: Speed over safety: the data lives as long as the tests.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "listen_addresses": "127.0.0.1",
    "autovacuum": "off",
    "jit": "off",
}


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; Debian keeps them off the path."""
    if found := shutil.which(name):
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(versions[-1]) if versions else None


def require_postgres() -> None:
    """Skip the test where PostgreSQL is missing; with CI=true that is a failure."""
    if program("initdb") and program("postgres"):
        return
    message = f"PostgreSQL is not installed: {INSTALL}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def running_postgres(folder: Path, programs: Path | None = None) -> Generator[str]:
    """Run a server with its files in ``folder``; yield the URL of its first database.

    ``programs`` is where PostgreSQL's are, if not those of this machine. They refuse to run as root;
    then they run as another user, to whom ``folder`` is given.
    """
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    folder.chmod(0o700)
    data, port = folder / "data", _free_port()
    initdb = [_need("initdb", programs), "-D", str(data), "-U", ROLE, "--auth=trust", "--no-sync"]
    initdb += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
    subprocess.run(initdb, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
    serve = [_need("postgres", programs), "-D", str(data), "-k", str(folder), "-p", str(port)]
    serve += [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(serve, user=user, cwd="/", stdout=log, stderr=log)
    try:
        _wait(server, folder / "log", port, _need("pg_isready", programs))
        yield f"postgresql+asyncpg://{ROLE}@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()  # SIGTERM waits for clients: those that leak are cut below
        try:
            server.wait(1)
        except subprocess.TimeoutExpired:
            server.send_signal(2)  # SIGINT: the fast shutdown
            server.wait(20)


class Server:
    """A running server that hands out databases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = count(1)
        # A loop of its own: fixtures are called while a test's loop exists, and psql starts slowly.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def create(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def drop(self, url: str) -> None:
        """Remove a database that ``create`` made, cutting who is still connected."""
        self.execute(f"DROP DATABASE {name_of(url)} WITH (FORCE)")

    def execute(self, *statements: str, url: str | None = None) -> None:
        """Run statements one by one, in the first database or the one at ``url``."""
        target = (url or self.url).replace("postgresql+asyncpg", "postgresql")

        async def run() -> None:
            connection = await asyncpg.connect(target)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def close(self) -> None:
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def name_of(url: str) -> str:
    """Return the name of the database in ``url``."""
    return url.rsplit("/", 1)[1]


_SERVER = pytest.StashKey[Server]()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Server:
    """Return the server of this session (of this worker under xdist), started at its first use."""
    require_postgres()
    if _SERVER not in pytestconfig.stash:
        stack = ExitStack()
        pytestconfig.add_cleanup(stack.close)
        # Not pytest's own temporary folder: only its owner may enter that one.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="santral-pg-")))
        server = Server(stack.enter_context(running_postgres(folder)))
        stack.callback(server.close)
        pytestconfig.stash[_SERVER] = server
    return pytestconfig.stash[_SERVER]


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _need(name: str, programs: Path | None) -> str:
    path = program(name) if programs is None else str(programs / name)
    if path is None:
        raise FileNotFoundError(f"{name} is missing: {INSTALL}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], log: Path, port: int, program: str) -> None:
    ready = [program, "-q", "-h", "127.0.0.1", "-p", str(port), "-U", ROLE]
    deadline = time.monotonic() + 30
    while subprocess.run(ready, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)

"""``santral serve``: one role in this process, or both as children of a supervisor."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from santral.app.sockets import address, listen
from santral.app.supervise import Child, Supervisor
from santral.config.load import LoadedConfig, load
from santral.errors import ConfigError
from santral.web.log import configure_logs


class Role(StrEnum):
    """Which part of Santral a process is."""

    all = "all"
    gateway = "gateway"
    control = "control"


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The santral.toml to read.")
    ] = None,
    role: Annotated[Role, typer.Option(help="Run both roles, or one of them.")] = Role.all,
    workers: Annotated[
        int | None, typer.Option(help="Gateway workers; overrides the file.")
    ] = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="A socket the parent bound.")] = None,
) -> None:
    """Start the gateway and the control process; Ctrl-C stops them in order."""
    loaded = load(config, os.environ)
    count = workers or loaded.config.server.workers
    if count > 1:
        raise ConfigError(
            f"{count} workers need Redis, so that limits hold over all of them, and this version "
            "keeps limits in one worker's memory. Set server.workers to 1."
        )
    configure_logs(loaded.config.log.level, loaded.config.log.format)
    if role is Role.all:
        raise typer.Exit(_serve_all(loaded, config))
    sock = socket.socket(fileno=fd) if fd is not None else _listen(loaded, role)
    uvloop.run(_run_role(loaded, role, sock, is_child=fd is not None))


def _listen(loaded: LoadedConfig, role: Role) -> socket.socket:
    if role is Role.gateway:
        return listen(loaded.config.server.host, loaded.config.server.port, "server.port")
    return listen(loaded.config.control.host, loaded.config.control.port, "control.port")


async def _run_role(
    loaded: LoadedConfig, role: Role, sock: socket.socket, *, is_child: bool
) -> None:
    if not is_child:
        await _prepare(loaded)
    # Each role imports its own half: a worker without pages and stores starts sooner and is smaller.
    if role is Role.gateway:
        from santral.app.gateway import run_gateway  # noqa: PLC0415

        await run_gateway(loaded, sock)
    else:
        from santral.app.control import run_control  # noqa: PLC0415

        await run_control(loaded, sock)


async def _prepare(loaded: LoadedConfig) -> None:
    """Bring the database up to date and print the first keys, once in its life."""
    from santral.db.engine import connect, database_url  # noqa: PLC0415
    from santral.db.migrate import migrate  # noqa: PLC0415
    from santral.tenants.issue import ensure_first_keys  # noqa: PLC0415

    engine = connect(database_url(loaded.config))
    try:
        await migrate(engine)
        first = await ensure_first_keys(
            engine, secrets.token_bytes, application=os.environ.get("SANTRAL_BOOTSTRAP_KEY")
        )
    finally:
        await engine.dispose()
    if first is not None:
        sys.stdout.write(
            "First start. These keys are shown once and stored only as hashes:\n"
            f"  application key  {first.application.plaintext}\n"
            f"  admin key        {first.admin.plaintext}\n"
        )
        sys.stdout.flush()


def _serve_all(loaded: LoadedConfig, path: Path | None) -> int:
    gateway = _listen(loaded, Role.gateway)
    control = _listen(loaded, Role.control)
    uvloop.run(_prepare(loaded))
    arguments = ["--config", str(loaded.path)] if loaded.path else []
    children = [
        Child("gateway", [*arguments, "--fd", str(gateway.fileno())], (gateway.fileno(),)),
        Child("control", [*arguments, "--fd", str(control.fileno())], (control.fileno(),)),
    ]
    announcement = _Announcement(address(gateway), address(control))
    return Supervisor(children, loaded.config.server.drain_s).run(announcement.tick)


class _Announcement:
    """Says once that both processes answer, and where."""

    def __init__(self, gateway: str, control: str) -> None:
        self._gateway = gateway
        self._control = control
        self._start = time.monotonic()
        self._is_done = False

    def tick(self) -> None:
        if self._is_done or not (_is_ready(self._gateway) and _is_ready(self._control)):
            return
        self._is_done = True
        sys.stdout.write(
            f"Santral is ready after {time.monotonic() - self._start:.1f} s. Ctrl-C stops it.\n"
            f"  gateway  {self._gateway}/v1\n"
            f"  console  {self._control}/\n"
        )
        sys.stdout.flush()


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health/ready", timeout=0.5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False

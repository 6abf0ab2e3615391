"""``santral serve``: one role in this process, or both as children of a supervisor."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from santral.app.access import ACCESS_FILE
from santral.app.sockets import address, listen
from santral.app.supervise import Child, Supervisor
from santral.config.load import LoadedConfig, load
from santral.errors import ConfigError, StoreError
from santral.web.log import configure_logs

if TYPE_CHECKING:
    from santral.app.publish import Publisher


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
    raise typer.Exit(_supervise(loaded, role))


def _supervise(loaded: LoadedConfig, role: Role) -> int:
    """Bind, start the children, make the database ready beside them, and keep them running."""
    config = loaded.config
    listeners: dict[str, socket.socket] = {}
    if role is not Role.control:
        listeners["gateway"] = listen(config.server.host, config.server.port, "server.port")
    if role is not Role.gateway:
        listeners["console"] = listen(config.control.host, config.control.port, "control.port")
    _make_data_folder(config.data.folder)
    locks = [_lock(config.data.folder, name) for name in listeners]
    # A file of an earlier run may name keys that were revoked since: children wait for ours.
    (config.data.folder / "run" / ACCESS_FILE).unlink(missing_ok=True)
    arguments = ["--config", str(loaded.path)] if loaded.path else []
    children = [
        Child(
            "control" if name == "console" else name,
            [*arguments, "--fd", str(sock.fileno())],
            (sock.fileno(),),
        )
        for name, sock in listeners.items()
    ]
    supervisor = Supervisor(children, config.server.drain_s)
    status = supervisor.run(_Beside(loaded, {n: address(s) for n, s in listeners.items()}))
    for fd in locks:
        os.close(fd)
    return status


def _make_data_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run").mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The data folder {folder} cannot be made: {error.strerror or error}. Make it writable, "
            "or set data.folder to another place."
        ) from None


def _lock(folder: Path, role: str) -> int:
    """Hold a role of a data folder for as long as this process lives.

    Raises:
        StoreError: another process holds it.
    """
    fd = os.open(folder / "run" / f"{role}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise StoreError(
            f"Another `santral serve` runs the {role} on the data folder {folder}. Stop it, or set "
            "data.folder to another place."
        ) from None
    return fd


class _Beside:
    """What the parent does beside its children: migrate, publish access, say that all is ready."""

    def __init__(self, loaded: LoadedConfig, addresses: dict[str, str]) -> None:
        self._loaded = loaded
        self._addresses = addresses
        self._start = time.monotonic()
        self._is_announced = False
        self._publisher: Publisher | None = None

    def begin(self) -> None:
        """Prepare the database while the children import; raises what makes a start impossible."""
        from santral.app.prepare import prepare  # noqa: PLC0415 - heavy, and the children begin first

        self._publisher, first = prepare(self._loaded.config, os.environ)
        if first is not None:
            sys.stdout.write(
                "First start. These keys are shown once and stored only as hashes:\n"
                f"  application key  {first.application.plaintext}\n"
                f"  admin key        {first.admin.plaintext}\n"
            )
            sys.stdout.flush()

    def tick(self) -> bool:
        if self._is_announced or not all(map(_is_ready, self._addresses.values())):
            return self._is_announced
        self._is_announced = True
        sys.stdout.write(
            f"Santral is ready after {time.monotonic() - self._start:.1f} s. Ctrl-C stops it.\n"
        )
        for name, url in self._addresses.items():
            sys.stdout.write(f"  {name}  {url}{'/v1' if name == 'gateway' else '/'}\n")
        sys.stdout.flush()
        return True

    def is_first_up(self) -> bool:
        return _is_ready(next(iter(self._addresses.values())))

    def end(self) -> None:
        if self._publisher is not None:
            self._publisher.stop()


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health/ready", timeout=0.5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False

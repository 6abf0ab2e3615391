"""``santral serve``: one role in this process, or both as children of a supervisor."""

from __future__ import annotations

import fcntl
import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from santral.app.access import ACCESS_FILE
from santral.app.beside import ParentsWork
from santral.app.channel import Channel
from santral.app.estate import Estate, inherited
from santral.app.handover import Handover
from santral.app.numbers import begin
from santral.app.post import Child, Post
from santral.app.process import Adopted
from santral.app.sockets import add_listeners, is_on, listen
from santral.app.supervise import Supervisor
from santral.config.load import LoadedConfig, load
from santral.errors import ConfigError, StoreError
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
        int | None, typer.Option(min=1, max=256, help="Gateway workers; overrides the file.")
    ] = None,
    rehearse: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start the gateway and the control process; Ctrl-C stops them in order."""
    estate = inherited(os.environ)
    if workers is not None:
        os.environ["SANTRAL_SERVER__WORKERS"] = str(workers)  # for children and reloads, too
    loaded = load(config, os.environ)
    count = loaded.config.server.workers
    refuse_workers_without_redis(loaded, count)
    configure_logs(loaded.config.log.level, loaded.config.log.format)
    if rehearse:
        _rehearse(loaded)
        return
    raise typer.Exit(_supervise(loaded, role, count, estate))


def refuse_workers_without_redis(loaded: LoadedConfig, count: int) -> None:
    """Raise ConfigError where limits would hold in each worker alone."""
    if count > 1 and loaded.config.limits.url is None:
        raise ConfigError(
            f"{count} workers need Redis, so that limits hold over all of them. Set limits.url to "
            'redis://… or rediss://…, as in limits.url = "env:REDIS_URL", or server.workers to 1.'
        )


def _rehearse(loaded: LoadedConfig) -> None:
    """Raise what would stop a start, and change nothing but an outdated database."""
    from santral.app.check import check_servable  # noqa: PLC0415 - no other start needs it
    from santral.app.prepare import rehearse  # noqa: PLC0415

    check_servable(loaded)
    rehearse(loaded.config)


def _supervise(loaded: LoadedConfig, role: Role, count: int, estate: Estate | None) -> int:
    """Bind, start the children, make the database ready beside them, and keep them running."""
    config = loaded.config
    listeners = _listeners(loaded, role, count, estate)
    _make_data_folder(config.data.folder)
    if estate is None:
        locks = [_lock(config.data.folder, name) for name in listeners]
        # A file of an earlier run may name keys that were revoked since: children wait for ours.
        (config.data.folder / "run" / ACCESS_FILE).unlink(missing_ok=True)
        if role is not Role.control:
            begin(config.data.folder)
    else:
        locks = estate.locks
    handover = Handover.make() if estate is None else Handover.of(estate.handover)
    posts = _posts(loaded, listeners, count, handover)
    surplus = _fill(posts, estate)
    supervisor = Supervisor(posts, config.server.drain_s, config.server.stuck_s)
    for child in surplus:
        supervisor.retire(posts[0], child)
    work = ParentsWork(loaded, listeners, posts, locks, handover, supervisor, estate)
    status = supervisor.run(work)
    for fd in locks:
        os.close(fd)
    return status


def _listeners(
    loaded: LoadedConfig, role: Role, count: int, estate: Estate | None
) -> dict[str, list[socket.socket]]:
    """Return the sockets of each role: those of before where they still fit."""
    server, control = loaded.config.server, loaded.config.control
    wanted: dict[str, tuple[str, int, str, int]] = {}
    if role is not Role.control:
        wanted["gateway"] = (server.host, server.port, "server.port", count)
    if role is not Role.gateway:
        wanted["console"] = (control.host, control.port, "control.port", 1)
    found: dict[str, list[socket.socket]] = {}
    for name, (host, port, setting, number) in wanted.items():
        before = (
            [socket.socket(fileno=fd) for fd in estate.listeners.get(name, [])] if estate else []
        )
        if before and is_on(before[0], host, port):
            before += add_listeners(before[0], setting, number - len(before))
            found[name] = before
        else:
            found[name] = listen(host, port, setting, number)
    return found


def _posts(
    loaded: LoadedConfig,
    listeners: dict[str, list[socket.socket]],
    count: int,
    handover: Handover,
) -> list[Post]:
    config = ["--config", str(loaded.path)] if loaded.path else []
    posts: list[Post] = []
    gateway = [sock.fileno() for sock in listeners.get("gateway", [])]
    for slot in range(count if gateway else 0):
        # After a restart with fewer workers there are more sockets than workers: none is forgotten.
        own = gateway[slot::count]
        others = [fd for fd in gateway if fd not in own]
        arguments = [*config, "--fds", _joined(own), "--handover", _joined(handover.fds())]
        arguments += ["--neighbours", _joined(others)] if others else []
        posts.append(Post("gateway", arguments, (*gateway, *handover.fds())))
    for sock in listeners.get("console", []):
        fd = sock.fileno()
        posts.append(Post("control", [*config, "--fds", str(fd)], (fd,), is_alone=True))
    return posts


def _fill(posts: list[Post], estate: Estate | None) -> list[Child]:
    """Give the posts the children that live on; return those for whom there is none."""
    surplus: list[Child] = []
    for heir in estate.children if estate else ():
        channel = Channel(socket.socket(fileno=heir.channel))
        child = Child(heir.number, Adopted(heir.pid), channel, is_ready=heir.is_ready)
        empty = [post for post in posts if post.role == heir.role and post.child is None]
        if empty:
            empty[0].child = child
        else:
            surplus.append(child)
    return surplus


def _joined(numbers: list[int] | tuple[int, ...]) -> str:
    return ",".join(str(number) for number in numbers)


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
    """Hold a role of a data folder for as long as this process lives, and say who holds it.

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
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
    return fd

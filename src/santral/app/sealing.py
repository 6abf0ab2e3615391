"""Sealed secrets on the side of the database: published for workers, checked at a start, opened at once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from santral.app.sealed import SealedRecord, encode_sealed
from santral.config.schema import Config
from santral.config.sealed import sealed_references
from santral.db.engine import Engine
from santral.db.session import control_database
from santral.errors import ConfigError, SantralError, StoreError, nearest
from santral.secrets.change import open_from_database, read_sealed
from santral.secrets.wrappers import wrappers_from


async def publish_sealed(engine: Engine, path: Path) -> None:
    """Replace the file where what the database holds is another; only its owner reads it.

    Raises:
        StoreError: the database does not answer.
        OSError: the file cannot be written.
    """
    keys, rows = await read_sealed(engine)
    await asyncio.to_thread(_write, path, encode_sealed(SealedRecord(keys, rows)))


async def check_sealed(engine: Engine, config: Config) -> None:
    """Refuse to start where a setting names a sealed secret that cannot be opened.

    Raises:
        ConfigError: no master key, or no such secret; the message names the setting.
        SealBroken: a secret does not open.
        StoreError: the key management does not answer.
    """
    named = sealed_references(config)
    if config.secrets.master_key is None and config.secrets.transit is None and not named:
        return
    wrappers = wrappers_from(config.secrets)
    if not named:
        return
    known = await open_from_database(engine, wrappers)
    problems = [
        f"{place}: there is no sealed secret '{name}'.{nearest(name, known)} "
        f"Set it with: santral secrets set {name}"
        for name, places in named.items()
        if name not in known
        for place in places
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def open_sealed(config: Config) -> Mapping[str, str]:
    """Return every sealed secret, for a command that needs one.

    Raises:
        SantralError: no master key, or something does not open.
    """
    wrappers = wrappers_from(config.secrets)

    async def from_database() -> dict[str, str]:
        async with control_database(config) as engine:
            return await open_from_database(engine, wrappers)

    answers: list[Mapping[str, str] | SantralError] = []

    def run() -> None:
        try:
            answers.append(asyncio.run(from_database()))
        except SantralError as error:
            answers.append(error)

    thread = threading.Thread(target=run)  # whoever asks may stand inside a loop
    thread.start()
    thread.join()
    if not answers:
        raise StoreError("The sealed secrets could not be read.")
    if isinstance(answers[0], SantralError):
        raise answers[0]
    return answers[0]


def _write(path: Path, data: bytes) -> None:
    try:
        if path.read_bytes() == data:
            return  # a file that did not change is not looked at again
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(f".{os.getpid()}")
    fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    making.replace(path)

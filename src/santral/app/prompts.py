"""Which prompts are registered: a file that the parent process writes and its workers read.

As the access file does it for keys (docs/decisions/0009-access-file.md).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec

from santral.db.engine import Engine, reading
from santral.prompts.store import read_registered
from santral.tenants.store import load_tree

_encode = msgspec.msgpack.Encoder().encode


async def publish_prompts(engine: Engine, path: Path) -> None:
    """Replace the file where what the database holds is another.

    Raises:
        StoreError: the database does not answer.
        OSError: the file cannot be written.
    """
    async with reading(engine) as conn:
        found = await read_registered(conn, (await load_tree(conn)).parents())
    await asyncio.to_thread(_write, path, _encode(found))


def _write(path: Path, content: bytes) -> None:
    """Write it whole; prompts are their tenants' own, so only the owner of the file reads it."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(f".{os.getpid()}")
    fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    making.replace(path)

"""Which prompts are registered: a file that the parent process writes and its workers read.

As the access file does it for keys (docs/decisions/0009-access-file.md).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from santral.app.run_file import replace_file
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
    await asyncio.to_thread(replace_file, path, _encode(found))

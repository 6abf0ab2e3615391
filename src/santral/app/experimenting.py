"""Which experiments run: a file that the parent process writes and its workers read.

As the access file does it for keys (docs/decisions/0009-access-file.md): workers never ask the
database, and go on with the last file while it is away.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from santral.app.run_file import replace_file
from santral.db.engine import Engine, reading
from santral.experiments.store import running_experiments

_encode = msgspec.msgpack.Encoder().encode


async def publish_experiments(engine: Engine, path: Path) -> None:
    """Replace the file where what the database holds is another.

    Raises:
        StoreError: the database does not answer.
        OSError: the file cannot be written.
    """
    async with reading(engine) as conn:
        found = await running_experiments(conn)
    await asyncio.to_thread(replace_file, path, _encode(found))

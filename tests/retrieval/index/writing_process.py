"""A process that writes an index round after round, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
from tests.retrieval.index.material import PARTITION, batch, entry

from santral.config.collections import IndexServerConfig
from santral.retrieval.index.registry import open_writer

NAMES = [f"d{number}" for number in range(12)]


async def main(settings: IndexServerConfig) -> None:
    """Change all documents in each round, two at a time, then publish."""
    writer = await open_writer(PARTITION, "server", {"server": settings}, Path())
    number = 0
    while True:
        number += 1
        for first in range(0, len(NAMES), 2):
            some = [
                entry(name, f"leave round{number}", f"notice round{number}", seed=number)
                for name in NAMES[first : first + 2]
            ]
            await writer.put(batch(some))
        await writer.publish()
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(IndexServerConfig.model_validate(msgspec.json.decode(sys.argv[1]))))

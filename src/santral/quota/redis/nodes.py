"""Redis as scripts are run on it: one server, or a cluster in which each group has its place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from santral.quota.redis.address import Address
from santral.quota.redis.pipe import Pipe, RedisDown, RedisRefused, Word

_FOLDER = Path(__file__).parent
#: How often a cluster may send us on for one command. Chosen: a slot that moves needs two.
_MOST_MOVES = 3


class Nodes:
    """Pipes to the servers that were needed so far; each is opened again when it has failed."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._pipes: dict[Address, Pipe] = {}
        self._opening: dict[Address, asyncio.Lock] = {}
        self._places: dict[str, Address] = {}  # group -> its server, where a cluster said so
        self._digests: dict[str, str] = {}
        self._scripts = {
            path.stem: path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.lua"))
        }

    async def run(self, script: str, group: str, keys: list[str], arguments: list[Word]) -> Any:
        """Run a script; all its keys are of one group.

        Raises:
            RedisDown: no reply in time.
            RedisRefused: the script or the server failed.
        """
        pipe = self._pipes.get(self._places.get(group, self._address))
        if pipe is not None and pipe.is_open and script in self._digests:
            try:
                words = ("EVALSHA", self._digests[script], len(keys), *keys, *arguments)
                return await pipe.send(words)
            except RedisRefused as error:
                if not str(error).startswith(("MOVED", "ASK", "NOSCRIPT")):
                    raise
        return await self._run_patiently(script, group, keys, arguments)

    def send(
        self, script: str, group: str, keys: list[str], arguments: list[Word]
    ) -> asyncio.Future[Any] | None:
        """Send a script whose reply is waited for by nobody; None where that is not possible at once."""
        pipe = self._pipes.get(self._places.get(group, self._address))
        digest = self._digests.get(script)
        if pipe is None or not pipe.is_open or digest is None:
            return None
        try:
            return pipe.send(("EVALSHA", digest, len(keys), *keys, *arguments))
        except RedisDown:
            return None

    async def ask(self, *words: Word) -> Any:
        """Return the reply of the first server to one command; raises as ``run``."""
        return await (await self._pipe(self._address)).ask(*words)

    def close(self) -> None:
        """Close every connection."""
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes.clear()

    async def _run_patiently(
        self, script: str, group: str, keys: list[str], arguments: list[Word]
    ) -> Any:
        """Run a script where a connection, the script or a group's place is not known yet."""
        address, is_asking = self._places.get(group, self._address), False
        for _ in range(_MOST_MOVES):
            pipe = await self._pipe(address)
            try:
                if is_asking:
                    await pipe.ask("ASKING")
                return await pipe.ask(
                    "EVALSHA", self._digests[script], len(keys), *keys, *arguments
                )
            except RedisRefused as error:
                kind, _, rest = str(error).partition(" ")
                if kind == "NOSCRIPT":
                    await self._load_all(pipe)
                    continue
                if kind not in ("MOVED", "ASK"):
                    raise
                host, _, port = rest.rpartition(" ")[2].rpartition(":")
                address, is_asking = self._address.at(host, int(port)), kind == "ASK"
                if not is_asking:
                    self._places[group] = address
        raise RedisDown(f"the cluster sent us on {_MOST_MOVES} times")

    async def _load_all(self, pipe: Pipe) -> None:
        """Load every script in one round trip, so that whoever sends one need not wait for it."""
        replies = [pipe.send(("SCRIPT", "LOAD", text)) for text in self._scripts.values()]
        for name, reply in zip(self._scripts, replies, strict=True):
            digest: bytes = await reply
            self._digests[name] = digest.decode()

    async def _pipe(self, address: Address) -> Pipe:
        async with self._opening.setdefault(address, asyncio.Lock()):  # one connects, others wait
            pipe = self._pipes.get(address)
            if pipe is None or not pipe.is_open:
                try:
                    pipe = await Pipe.open(address, self._timeout_s)
                    await self._load_all(pipe)
                    self._pipes[address] = pipe
                except (RedisDown, RedisRefused):
                    # A node that is gone has handed its slots to another: ask the first one again.
                    self._places = {g: a for g, a in self._places.items() if a != address}
                    raise
            return pipe

"""Keeps workers on one configuration: the parent asks all to compile a change, then all or none use it.

The parent looks at the files. A change is read by it, compiled by every worker, and comes into force
when every worker could; one that cannot keeps the old one in force for all.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from santral.app.acts import Acts
from santral.app.channel import (
    REASON_LETTERS,
    Compiled,
    Count,
    Forget,
    FromChild,
    InForce,
    Message,
    Prepare,
    Refused,
)
from santral.config.load import LoadedConfig, load
from santral.config.schema import RELOADABLE, Config
from santral.config.sealed import sealed_file, sealed_references
from santral.errors import ConfigError, SantralError
from santral.providers.catalogue.catalogue import refreshed

log = logging.getLogger(__name__)

#: How often files are looked at, in seconds. Specified: changes reach every worker within 2 s
#: (DESIGN: processes and ports).
LOOK_EVERY_S = 0.5
#: How long workers may take to compile a configuration before it is refused, in seconds. Chosen: far
#: longer than the largest takes.
COMPILE_WITHIN_S = 20.0
#: Files that change while they are read are read again, so often. Chosen.
MOST_REREADS = 10

Stamp = tuple[tuple[str, int, int], ...]
T = TypeVar("T")


class Follower(Generic[T]):
    """A worker's side: compiles what it is asked to, and uses it when it is told that all could."""

    def __init__(
        self,
        loaded: LoadedConfig,
        compile_: Callable[[LoadedConfig], T],
        use: Callable[[LoadedConfig, T], None],
        number: Callable[[int], None],
    ) -> None:
        """``compile_`` raises SantralError and changes nothing; ``number`` hears which is in force."""
        self._loaded = loaded
        self._compile = compile_
        self._use = use
        self._number = number
        self._compiled: tuple[int, LoadedConfig, T] | None = None
        self.mark = mark(loaded)

    def take(self, message: Message, tell: Callable[[FromChild], object]) -> None:
        """Do what the parent asks, and answer it."""
        if isinstance(message, Prepare):
            tell(self._prepare(message))
        elif isinstance(message, InForce) and self._compiled is not None:
            number, loaded, compiled = self._compiled
            if number == message.round:
                self._compiled = None
                self._use(loaded, compiled)
                self._number(message.generation)
                self._loaded = loaded
        elif isinstance(message, Count):
            self._number(message.generation)
        elif isinstance(message, Forget):
            self._compiled = None

    def _prepare(self, wish: Prepare) -> FromChild:
        self._compiled = None
        try:
            fresh = reread(self._loaded)
            if mark(fresh) != wish.mark:
                return Refused(wish.round, "the files changed while they were read", True)
            self._compiled = wish.round, fresh, self._compile(fresh)
        except SantralError as error:
            return Refused(wish.round, error.message[:REASON_LETTERS])
        return Compiled(wish.round)


class Rounds:
    """The parent's side: one change at a time, from the look at the files to all workers using it."""

    def __init__(
        self,
        loaded: LoadedConfig,
        clock: Callable[[], float],
        before: tuple[int, str] = (0, ""),
        acts: Acts | None = None,
    ) -> None:
        """``before`` is number and mark of the configuration that was in force before a restart;
        what is put in force or refused is noted in ``acts``."""
        self.loaded = loaded
        self._acts = acts or Acts()
        self._files = files_of(loaded)
        self.refusals = 0
        self.mark: str = mark(loaded)
        self.generation = before[0] + (before[1] != self.mark)
        self._clock = clock
        self._seen: str = self.mark
        self._is_asked = False
        self._look_at = clock() + LOOK_EVERY_S
        self._round = 0
        self._rereads = 0
        self._fresh: LoadedConfig | None = None
        self._waiting: set[int] = set()  # workers that have not answered, by number
        self._until = 0.0
        self._is_over = (
            False  # a round ended without a change: workers may forget what they compiled
        )

    def ask(self) -> None:
        """Reload at the next look, changed or not."""
        self._is_asked = True

    def prepared(self) -> None:
        """Take the files as they are now for those of the start: the start itself writes one."""
        self.mark = self._seen = mark(self.loaded)
        self._files = files_of(self.loaded)

    def tick(self, workers: Mapping[int, Callable[[Message], object]]) -> None:
        """Go on; ``workers`` are those that are ready, by number, and how to tell them something."""
        if self._fresh is not None:
            self._conclude(workers)
            return
        if self._is_over:
            self._is_over = False
            for tell in workers.values():
                tell(Forget(self._round))
        now = self._clock()
        if now < self._look_at and not self._is_asked:
            return
        self._look_at = now + LOOK_EVERY_S
        seen = mark(self.loaded)
        if workers and (seen != self._seen or self._is_asked):
            self._seen, self._is_asked = seen, False
            self._begin(workers)

    def welcome(self, seen: str) -> Count | None:
        """Return what to tell a worker that began with the configuration of a mark; one that began
        with another is asked, with all others, to take the one that is there now."""
        if seen == self.mark:
            return Count(self.generation)
        self.ask()
        return None

    def heard(self, worker: int, message: Message) -> None:
        """Take what a worker answered."""
        if isinstance(message, Compiled | Refused) and message.round != self._round:
            return
        if isinstance(message, Compiled):
            self._waiting.discard(worker)
        elif isinstance(message, Refused) and self._fresh is not None:
            if message.has_changed and self._rereads < MOST_REREADS:
                self._rereads += 1
                self._is_asked = True
                self._fresh = None
            else:
                self._refuse(message.reason)

    def _begin(self, workers: Mapping[int, Callable[[Message], object]]) -> None:
        self._round += 1
        try:
            fresh = reread(self.loaded)
        except SantralError as error:
            self._refuse(error.message)
            return
        self._fresh = fresh
        self._until = self._clock() + COMPILE_WITHIN_S
        self._waiting = set(workers)
        wish = Prepare(self._round, mark(fresh))
        for tell in workers.values():
            tell(wish)

    def _conclude(self, workers: Mapping[int, Callable[[Message], object]]) -> None:
        """Put it in force when all have answered; one that died meanwhile reads the files anew."""
        fresh = self._fresh
        if fresh is None:
            return
        if self._waiting & set(workers):
            if self._clock() > self._until:
                self._refuse(f"a worker did not compile it within {COMPILE_WITHIN_S:g} s")
            return
        self.generation += 1
        files = files_of(fresh)
        self._acts.reloaded(self.loaded, fresh, changed_names(self._files, files))
        self._files = files
        self.loaded, self._fresh, self._rereads = fresh, None, 0
        self.mark = self._seen = mark(fresh)
        for tell in workers.values():
            tell(InForce(self._round, self.generation))
        log.info("config_applied", extra={"digest": fresh.digest, "generation": self.generation})

    def _refuse(self, reason: str) -> None:
        self._fresh, self._rereads, self._is_over = None, 0, True
        self.refusals += 1
        self._acts.refused(self.loaded, reason)
        log.error("config_refused", extra={"reason": reason, "in_force": self.loaded.digest})


def reread(loaded: LoadedConfig) -> LoadedConfig:
    """Read the same file again.

    Raises:
        ConfigError: it is wrong, or changes what cannot change while running.
    """
    fresh = load(loaded.path, os.environ)
    frozen = changed_without_restart(loaded.config, fresh.config)
    if frozen:
        raise ConfigError(f"{', '.join(frozen)} cannot change while running. Run: santral restart")
    return fresh


def changed_without_restart(old: Config, new: Config) -> list[str]:
    """Return the sections that differ and may not change while running."""
    return [
        name
        for name in Config.model_fields
        if name not in RELOADABLE and getattr(old, name) != getattr(new, name)
    ]


def mark(loaded: LoadedConfig) -> str:
    """Return what tells a configuration, and the state of the files it names, from any other."""
    seen = repr((loaded.digest, stamp(_watched(loaded))))
    return hashlib.blake2b(seen.encode(), digest_size=16).hexdigest()


def files_of(loaded: LoadedConfig) -> dict[str, tuple[int, int]]:
    """Return the files that a configuration names, each with its time and size."""
    return {name: (time_ns, size) for name, time_ns, size in stamp(_watched(loaded))}


def changed_names(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]
) -> list[str]:
    """Return the names of files that came, went or changed."""
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )


def _watched(loaded: LoadedConfig) -> list[Path]:
    config = loaded.config
    files = [route.output_schema for route in config.routes.values()]
    files += [route.complexity.model for route in config.routes.values() if route.complexity]
    prices = [config.prices.file, refreshed(config.data.folder)]
    sealed = sealed_file(config) if sealed_references(config) else None
    found = [loaded.path, config.prompts.folder, *prices, sealed, *files]
    return [path for path in found if path is not None]


def stamp(paths: Iterable[Path]) -> Stamp:
    """Return names, times and sizes of the files, and of those inside folders: equal if unchanged."""
    entries: list[tuple[str, int, int]] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            try:
                status = file.stat()
            except OSError:
                continue
            entries.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(entries)

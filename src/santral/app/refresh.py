"""Keeps a worker's snapshot current: keys and limits from the database, settings from the files."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from santral.config.load import LoadedConfig, load
from santral.config.schema import RELOADABLE, Config
from santral.errors import ConfigError, SantralError
from santral.providers.catalogue.catalogue import refreshed

log = logging.getLogger(__name__)

#: How often files and the database's revision are looked at, in seconds. Specified: changes reach
#: every worker within 2 s (DESIGN: processes and ports).
LOOK_EVERY_S = 0.5

Stamp = tuple[tuple[str, int, int], ...]


class Reloader:
    """Reloads santral.toml and what it names when a file changes or SIGHUP arrives."""

    def __init__(
        self,
        loaded: LoadedConfig,
        apply: Callable[[LoadedConfig], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._apply = apply
        self._on_failure = on_failure
        self._stamp = stamp(_watched(loaded))
        self._is_asked = False

    def ask(self) -> None:
        """Reload at the next look, changed or not."""
        self._is_asked = True

    async def run(self) -> None:
        """Watch until cancelled."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.ask)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            seen = await asyncio.to_thread(stamp, _watched(self._loaded))
            if seen != self._stamp or self._is_asked:
                self._stamp, self._is_asked = seen, False
                self.reload()

    def reload(self) -> bool:
        """Load again, whole or not at all; return whether the new configuration is in force."""
        try:
            fresh = load(self._loaded.path, os.environ)
            frozen = changed_without_restart(self._loaded.config, fresh.config)
            if frozen:
                raise ConfigError(
                    f"{', '.join(frozen)} cannot change while running. Restart to apply the file."
                )
            self._apply(fresh)
        except SantralError as error:
            log.error(
                "config_refused", extra={"reason": error.message, "in_force": self._loaded.digest}
            )
            self._on_failure()
            return False
        log.info("config_applied", extra={"digest": fresh.digest})
        self._loaded = fresh
        return True


def changed_without_restart(old: Config, new: Config) -> list[str]:
    """Return the sections that differ and may not change while running."""
    return [
        name
        for name in Config.model_fields
        if name not in RELOADABLE and getattr(old, name) != getattr(new, name)
    ]


def _watched(loaded: LoadedConfig) -> list[Path]:
    config = loaded.config
    files = [route.output_schema for route in config.routes.values()]
    files += [route.complexity.model for route in config.routes.values() if route.complexity]
    prices = [config.prices.file, refreshed(config.data.folder)]
    found = [loaded.path, config.prompts.folder, *prices, *files]
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

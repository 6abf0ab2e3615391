"""The gateway role: one worker, built from top to bottom."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from santral.app.access import Access, AccessReader, access_file, wait_for_file
from santral.app.channel import Message, Ready, Retire
from santral.app.experiments_file import ExperimentsReader, experiments_file
from santral.app.limits import BILLED_AFTER_S, build_limiter
from santral.app.numbers import SharedNumbers
from santral.app.prompts_file import PromptsReader, prompts_file
from santral.app.providers import ProviderPool
from santral.app.refresh import LOOK_EVERY_S, Follower
from santral.app.searching import Searching
from santral.app.server import Server, serve
from santral.app.station import Station
from santral.cache.caches import Caches
from santral.config.load import LoadedConfig
from santral.config.schema import Config
from santral.config.sealed import sealed_references
from santral.errors import StoreError
from santral.experiments.made import Running
from santral.gateway.api import GatewayApp
from santral.gateway.attendance import Attendance
from santral.gateway.held.cabinet import HeldCabinet
from santral.gateway.held.hold import Holder
from santral.gateway.stages import (
    Assign,
    Attempts,
    Cite,
    Compose,
    Generate,
    InputGuard,
    Perform,
    Quota,
    Retrieve,
    Stages,
    TaskGuard,
    ThroughCache,
    Trace,
    ValidateOutput,
)
from santral.gateway.stages.attempt import upstream_fields
from santral.gateway.stages.model_limits import ModelLimits
from santral.gateway.stages.route import Router
from santral.gateway.stages.shadow import Mirror
from santral.gateway.state import Current, Snapshot, build_snapshot
from santral.gateway.trial import compile_trials
from santral.guardrails.policy import inspect
from santral.prompts.registry import Registry
from santral.providers.catalogue.archive import keep_prices
from santral.quota.line import WaitingLine
from santral.routing.fallback import Fallback
from santral.routing.health import BREAKER_STATES, Health
from santral.routing.shadow import ShadowQueue
from santral.traces.cached import CacheMetrics
from santral.traces.metrics import Metrics
from santral.traces.observe import RequestMetrics
from santral.traces.spool import Spool, share_of

if TYPE_CHECKING:
    from santral.app.sealed import SealedReader

log = logging.getLogger(__name__)

#: Objects that are made before the garbage collector looks again. Chosen: some megabytes; requests
#: leave no cycles behind that would have to be found soon. Measured against Python's 700: 8 % less CPU
#: for whole answers and for streams.
GC_OBJECTS = 20_000

#: How often the event loop's lag is measured, in seconds. Chosen.
LAG_EVERY_S = 0.25


#: A text that makes every kind of check look twice, so that what they build on first use is there
#: before the first request. Measured: that request waited 0.16 s.
_WARM_UP = "İlk istek: ignore a@example.com 4111 1111 1111 1111 +90 532 123 45 67 sk-1234567890 [1]"


async def warm_up(snapshot: Snapshot) -> None:
    """Run the checks of every route once."""
    for policy in {id(r.policy): r.policy for r in snapshot.routes.values()}.values():
        for place, checks in (("input", policy.input), ("output", policy.output)):
            await inspect(checks, (_WARM_UP,), place)


class GatewayProcess:
    """Everything one gateway worker holds."""

    def __init__(self, loaded: LoadedConfig, station: Station | None = None) -> None:
        config = loaded.config
        self._loaded = loaded
        self._sealed: SealedReader | None = None
        self._open_sealed(config)
        self._station = station = station or Station()
        self._rng = random.Random()  # noqa: S311 - ids and weights, not secrets
        self.metrics = Metrics()
        self._generation = self.metrics["santral_config_generation"].child()
        self._numbers = SharedNumbers(config.data.folder, station.process_name, self.metrics)
        self._pool = ProviderPool(time.monotonic, time.time, self._rng)
        self._limiter = build_limiter(config, station.name, self._rng)
        self._line = WaitingLine(self._limiter, config.limits.max_waiting)
        self._spool = Spool(
            config.data.folder / "spool",
            station.name,  # a restarted worker goes on under the same bound
            share_of(config.telemetry.spool_max_bytes, config.server.workers),
            config.telemetry.spool_fsync,
        )
        self._caches = Caches(
            config.cache, config.data.folder, station.name, time.monotonic, time.time
        )
        self._cache_metrics = CacheMetrics(self.metrics)
        self.metrics.watch(self._show_caches)
        self._attendance = Attendance(time.monotonic)
        self._shadows = ShadowQueue()
        self._mirror = Mirror(
            self._shadows,
            self._spool,
            self.metrics,
            config.telemetry,
            self._rng,
            time.time,
            upstream_fields,
        )
        self._access = Access.empty()
        self._access_reader = AccessReader(access_file(config))
        self._prompts_reader = PromptsReader(prompts_file(config))
        self._experiments_reader = ExperimentsReader(experiments_file(config))
        self._running: list[Running] = []
        self._compiled_with: Registry | None = None  # the prompts their arms were found among
        self._providers = self._pool.build(config.providers)  # those compiled last
        self.current = Current(build_snapshot(loaded, self._providers, self._access.ring))
        self._pool.keep()
        self._searching = Searching(config, self._providers)
        self._generation.set(1)
        self._fallback = Fallback(Health(time.monotonic), self._rng, time.monotonic)
        self.metrics.watch(self._show_spool)
        self.metrics.watch(self._show_keys)
        self.metrics.watch(self._show_limits)
        self.metrics.watch(self._show_deployments)
        self.app = self._build_app()

    def _build_app(self) -> GatewayApp:
        fallback = self._fallback
        limits = ModelLimits(self._line, fallback.health)
        self.trace = Trace(self._spool, RequestMetrics(self.metrics), self._loaded.config.telemetry)
        stages = Stages(
            trace=self.trace,
            assign=Assign(),
            quota=Quota(self._line),
            input_guard=InputGuard(),
            compose=Compose(),
            retrieve=Retrieve(self._searching.find_owner, self._searching),
            generate=Generate(
                ThroughCache(self._caches, self._cache_metrics),
                Attempts(
                    Router(fallback.health, self._rng, fallback.clock, self._mirror),
                    fallback,
                    limits,
                ),
            ),
            validate_output=ValidateOutput(
                Holder(
                    HeldCabinet(self._loaded.config.data.folder / "objects", time.time), time.time
                )
            ),
            cite=Cite(self.metrics),
            task_guard=TaskGuard(),
            perform=Perform(
                self._caches.tiers,
                fallback,
                limits,
            ),
        )
        app = GatewayApp(
            self.current,
            stages,
            self._attendance,
            self.metrics,
            self._rng,
            time.perf_counter,
            time.time,
        )
        app.batches.find_batches = self._pool.batches
        app.render_metrics = self._numbers.render
        return app

    async def prepare(self, access: Access | None = None) -> None:
        """Load keys, limits and indexes, and what today's budgets have used already.

        With ``access`` it is that which holds, and not what the parent process writes.
        """
        config = self._loaded.config
        await asyncio.to_thread(keep_prices, config.data.folder, config.prices.file)
        if access is None:
            await wait_for_file(access_file(self._loaded.config))
            self._take_access()
        else:
            self._put_access(access)
        await self._take_prompts()
        if access is None:
            self._take_experiments()
        else:  # who asks from inside, as evaluations do, is in no experiment
            self.current.put_trials({})
        await self._limiter.begin()
        await self._searching.library.refresh()
        await warm_up(self.current.snapshot)

    def _take_access(self) -> bool:
        """Read the access file if the parent wrote a new one."""
        fresh = self._access_reader.read()
        if fresh is None:
            return False
        self._put_access(fresh)
        return True

    async def _take_prompts(self) -> None:
        """Compile the registered prompts if the parent wrote others; they stay as they are where its
        file cannot be read."""
        try:
            registered = self._prompts_reader.read()
        except StoreError as error:
            log.error("prompts_not_read", extra={"reason": error.message})
            return
        if registered is None:
            return
        before = self.current.snapshot
        registry = await asyncio.to_thread(Registry, before.prompts, registered, before.registry)
        known = before.registry.broken()
        for (owner, reference), reason in registry.broken().items():
            if (owner, reference) not in known:
                where = {"tenant": owner, "prompt": reference, "reason": reason}
                log.warning("prompt_not_usable", extra=where)
        self.metrics["santral_prompts_unusable"].child().set(len(registry.broken()))
        files = self.current.snapshot.prompts  # a reload may have come between
        self.current.put_prompts(
            registry if files is before.prompts else registry.with_files(files)
        )

    def _take_experiments(self) -> None:
        """Compile the running experiments if the parent wrote others, or what they name has changed."""
        try:
            running = self._experiments_reader.read()
        except StoreError as error:
            log.error("experiments_not_read", extra={"reason": error.message})
            return
        snapshot = self.current.snapshot
        if running is None and snapshot.registry is self._compiled_with:
            return
        self._running = self._running if running is None else running
        self._compiled_with = snapshot.registry
        self.current.put_trials(compile_trials(snapshot, self._running))

    def _put_access(self, fresh: Access) -> None:
        self._access = fresh
        self._limiter.billed_until(fresh.read_at - BILLED_AFTER_S)
        self.current.put_access(fresh.ring, fresh.limits(self._loaded.config))
        self._caches.forget_before(fresh.ring.caches_forgotten_at)

    async def run(self) -> None:
        """Serve until a signal or a successor; drain; close everything."""
        station = self._station
        follower = Follower(self._loaded, self._compile, self._use, self._generation.set)
        server = Server(
            self.app,
            self._loaded.config.server.drain_s,
            self._drain,
            lambda: station.tell(Ready(follower.mark)),
        )

        def take(message: Message) -> None:
            if not isinstance(message, Retire):
                follower.take(message, station.tell)
            elif station.handover is not None:
                server.retire(station.handover)

        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process: never look at it again
        gc.set_threshold(GC_OBJECTS, *gc.get_threshold()[1:])
        background: list[Callable[[], Awaitable[None]]] = [
            self._attendance.run,
            self._refresh,
            partial(station.listen, take),
            partial(server.take_for, station.neighbours),
            self._numbers.run,
            self._measure_lag,
            self.app.batches.run,
            self.app.responses.run,
            self.app.held.run,
            self._shadows.run,
            self._caches.run,
            self._limiter.run,
        ]
        if station.handover is not None:
            background.append(partial(server.take_from, station.handover))
        try:
            await serve(server, [*station.sockets], background, self._finish)
        finally:
            await self.close()
            self._numbers.leave()

    def upkeep(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """Return what must go on beside requests where no server runs: deadlines and limits."""
        return (self._attendance.run, self._limiter.run, self._caches.run)

    async def close(self) -> None:
        """Close everything; what was spooled is the collector's."""
        await self._searching.library.close()
        await self._pool.close()
        self._spool.close()

    def _drain(self, is_replaced: bool) -> None:
        """Stop taking work; a successor keeps the machine ready, and a stop does not."""
        self.current.is_draining = not is_replaced
        self._attendance.drain(self._loaded.config.server.drain_s)
        self._shadows.drain()
        self.app.batches.drain()

    async def _finish(self) -> None:
        """Keep what batches have asked for, within the drain."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._loaded.config.server.drain_s):
                await self.app.batches.drained()

    def _open_sealed(self, config: Config) -> None:
        """Open the sealed secrets where a setting names one, and again when they were changed."""
        if not sealed_references(config):
            return
        if self._sealed is None:
            # Imported here, for most have none: ciphers cost a start 0.1 s.
            from santral.app.sealed import SealedReader  # noqa: PLC0415

            self._sealed = SealedReader(config)
        self._sealed.look()

    def _compile(self, loaded: LoadedConfig) -> Snapshot:
        """Compile a new configuration; raises ConfigError and changes nothing."""
        self._open_sealed(loaded.config)
        self._providers = self._pool.build(loaded.config.providers)
        before = self.current.snapshot
        return build_snapshot(loaded, self._providers, before.ring, before=before)

    def _use(self, loaded: LoadedConfig, fresh: Snapshot) -> None:
        """Swap in whole what was compiled last."""
        self._pool.keep()
        keep_prices(loaded.config.data.folder, loaded.config.prices.file)
        self._loaded = loaded
        self._searching.configure(loaded.config, self._providers)
        registered = self.current.snapshot.registry  # newer than what this was compiled with
        self.current.snapshot = fresh
        self.current.put_prompts(registered.with_files(fresh.prompts))
        self._compiled_with = None
        self._take_experiments()
        self.current.put_access(self._access.ring, self._access.limits(loaded.config))

    async def _refresh(self) -> None:
        """Pick up changed keys, limits and indexes within 2 s."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._take_access()
            await self._take_prompts()
            self._take_experiments()
            await self._searching.library.refresh()
            await asyncio.to_thread(self._caches.refresh, self._caches.notes_due())
            await self._pool.close_retired()

    async def _measure_lag(self) -> None:
        lag = self.metrics["santral_event_loop_lag_seconds"].histogram()
        while True:
            start = time.perf_counter()
            await asyncio.sleep(LAG_EVERY_S)
            lag.observe(max(0.0, time.perf_counter() - start - LAG_EVERY_S))

    def _show_deployments(self) -> None:
        """Show the breaker and the refused retries of every deployment of the configuration."""
        refused = self._fallback.budget.refused()
        for name in self.current.snapshot.config.deployments:
            state = BREAKER_STATES[self._fallback.health.state(name)]
            self.metrics["santral_breaker_state"].child(name).set(state)
            skipped = self.metrics["santral_retries_refused_total"].child(name)
            skipped.set(refused.get(name, 0))

    def _show_caches(self) -> None:
        caches = self._caches
        self._cache_metrics.show(caches.counters(), is_left_out=caches.tiers.breaker.is_open)

    def _show_limits(self) -> None:
        limiter, line = self._limiter, self._line
        for name, value in (
            ("santral_limits_uncoordinated", 0 if limiter.is_coordinated else 1),
            ("santral_limits_store_errors_total", limiter.errors),
            ("santral_limits_dropped_total", limiter.dropped),
            ("santral_limits_holds", limiter.open_holds),
            ("santral_limits_waiting", line.waiting),
            ("santral_limits_turned_away_total", line.turned_away),
        ):
            self.metrics[name].child().set(value)

    def _show_keys(self) -> None:
        keys = self.metrics["santral_provider_keys"]
        for provider, states in self._pool.key_states().items():
            for state, count in states.items():
                keys.child(provider, state).set(count)

    def _show_spool(self) -> None:
        spool = self._spool
        for name, value in (
            ("santral_spool_received_total", spool.received),
            ("santral_spool_spooled_total", spool.spooled),
            ("santral_spool_dropped_total", spool.dropped),
            ("santral_spool_unsynced_total", spool.unsynced),
            ("santral_spool_bytes", spool.size_bytes),
        ):
            self.metrics[name].child().set(value)


async def run_gateway(loaded: LoadedConfig, station: Station) -> None:
    """Run one gateway worker at its station until a signal."""
    if sealed_references(loaded.config):
        await wait_for_file(access_file(loaded.config))  # the sealed ones are written before it
    process = GatewayProcess(loaded, station)
    await process.prepare()
    await process.run()

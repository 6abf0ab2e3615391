"""Looks at every limit, writes down what is to be told, and delivers it: a loop of the control process.

An alert is a row before it is sent, so a kill between the two loses none. Receivers are served side by
side, each in its order and until its first failure: a dead one delays nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from santral.config.schema import Config
from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError
from santral.quota.budgets import store
from santral.quota.budgets.alert import Alert, alerts_for
from santral.quota.budgets.burn import read_burns
from santral.quota.budgets.deliver import Sender
from santral.quota.store import all_rules
from santral.quota.used import DaySums
from santral.secrets.pseudonym import key_file, keys_folder

log = logging.getLogger(__name__)

#: Alerts of one round, and of one receiver in it. Chosen: a round takes some time-outs at most.
_MOST, _MOST_EACH = 1000, 20
#: Receivers that are spoken to at once. Chosen.
_AT_ONCE = 64
#: Windows that began earlier are over. Chosen: longer than a month.
_OLDEST = timedelta(days=70)
#: A look waits for so many times as long as the last one took. Chosen.
_LOOKS_APART = 20
_KEY_FILE = "alerts.key"


class Round(Struct, frozen=True, kw_only=True):
    """What one look did."""

    written: int = 0
    sent: int = 0
    failed: int = 0
    given_up: int = 0


class Watch:
    """Tells of limits that are nearly or wholly used."""

    def __init__(
        self,
        engine: Engine,
        sender: Sender,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.monotonic,
        count: Callable[[str, int], None] = lambda outcome, n: None,
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._clock = clock
        self._timer = timer
        self._days = DaySums()
        self._count = count

    async def run(
        self, every_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Look and deliver every ``every_s`` seconds until cancelled.

        Looking takes a twentieth of the time at most: the sums over a month of many rows are slow.
        """
        look_at = 0.0
        while True:
            began = self._timer()
            try:
                if began >= look_at:
                    await self.look()
                    look_at = began + _LOOKS_APART * (self._timer() - began)
                await self.deliver()
            except SantralError as error:
                log.warning("limits_not_watched", extra={"reason": error.message})
            await sleep(every_s)

    async def look(self) -> int:
        """Write down what is to be told and was not; return how many alerts that are."""
        now = self._clock()
        async with reading(self._engine) as conn:
            rules = [
                r for r in await all_rules(conn) if r.warn_at or r.webhook or r.measure == "usd"
            ]
            burns = await read_burns(conn, rules, int(now.timestamp()), self._days)
            told = await store.told_since(conn, now - _OLDEST)
        made = alerts_for(burns, told, now)
        if made:
            async with writing(self._engine) as conn:
                await store.insert_alerts(conn, made)
        return len(made)

    async def deliver(self) -> Round:
        """Send what is due; return what became of it."""
        async with reading(self._engine) as conn:
            due = await store.due_alerts(conn, self._clock(), _MOST)
        by_receiver: dict[str, list[Alert]] = {}
        for alert in due:
            by_receiver.setdefault(alert.webhook, []).append(alert)
        gate = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._serve(gate, alerts)) for alerts in by_receiver.values()
            ]
        outcomes = [outcome for task in tasks for outcome in task.result()]
        done = {name: outcomes.count(name) for name in ("sent", "failed", "given_up")}
        for name, number in done.items():
            self._count(name, number)
        return Round(**done)

    async def _serve(self, gate: asyncio.Semaphore, alerts: list[Alert]) -> list[str]:
        """Send to one receiver until it fails; what is left waits as long as the one that failed."""
        outcomes: list[str] = []
        async with gate:
            for place, alert in enumerate(alerts[:_MOST_EACH]):
                done = await self._sender.send(alert)
                await self._save([done])
                if done.delivered_at is not None:
                    outcomes.append("sent")
                    continue
                outcomes.append("failed" if done.next_try_at is not None else "given_up")
                log.warning("alert_not_delivered", extra={"alert": alert.id, "reason": done.error})
                await self._save([self._sender.put_off(a, done.error) for a in alerts[place + 1 :]])
                break
        return outcomes

    async def _save(self, alerts: list[Alert]) -> None:
        if alerts:
            async with writing(self._engine) as conn:
                for alert in alerts:
                    await store.save_try(conn, alert)


def sender_of(
    config: Config,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Sender:
    """Return what sends alerts as the configuration says.

    Raises:
        StoreError: the key can be neither read nor made.
    """
    return Sender(
        signing_key(config),
        timeout_s=config.alerts.timeout_s,
        allow_private=config.alerts.allow_private_addresses,
        clock=clock,
        random=lambda: secrets.randbelow(1_000_000) / 1e6,
    )


def signing_key(config: Config) -> str:
    """Return the key of signatures: the configuration's, or the one made once in the data folder.

    Raises:
        StoreError: it can be neither read nor made.
    """
    if config.alerts.signing_key is not None:
        return config.alerts.signing_key.reveal()
    path: Path = keys_folder(config.data.folder) / _KEY_FILE
    return key_file(path, secrets.token_hex(32).encode()).decode()

"""Limits over many workers: the counters are in Redis, and every decision is one script there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from santral.errors import LimitsUnavailable, QuotaExceeded
from santral.quota.answer import Standing, refusal
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.redis.journal import Amount, Journal, Settled
from santral.quota.redis.nodes import Nodes
from santral.quota.redis.pipe import RedisDown, RedisLate, RedisRefused, Word
from santral.quota.redis.share import Share
from santral.quota.redis.words import (
    ADMITTED,
    EACH_CLAIM,
    HEAD,
    REFUSED,
    UNKNOWN_RUN,
    RedisHold,
    by_group,
    new_hold,
    slot_of,
    standings_in,
    words_of,
)
from santral.quota.window import LENGTH_S

log = logging.getLogger(__name__)

#: How long a hold lasts whose worker was killed, and when one that lives renews it, in seconds. Chosen:
#: long against a pause of a worker, short against the patience of who waits for its place.
HOLD_S, RENEW_AFTER_S = 60.0, 20.0
#: How often a worker says that it lives, renews its holds and tries Redis again, in seconds. Chosen.
BEAT_S = 0.5
#: After Redis has begun anew every worker has told what it holds within this time, in seconds: three
#: beats. Until then nothing is admitted, for nobody could know what others have in flight.
JOIN_S = 1.5
#: So long it is waited for workers that were there before, in seconds: one may be gone, too. Chosen.
JOIN_MOST_S = 6.0
#: What a worker tells such a Redis in one script. Chosen: some milliseconds of its time.
_AT_ONCE = 250
#: A worker that was not heard for so long is not counted any more, in milliseconds. Chosen.
_BELIEVED_MS = 5_000
#: For so long a settlement is known to have been made, in milliseconds: longer than it is tried again.
_KNOWN_MS = 600_000
#: Settlements that wait for Redis; the oldest one goes then, and is counted. Chosen.
_MOST_PENDING = 100_000

_Command = tuple[str, str, list[str], list[Word]]


class RedisLimiter:
    """The limiter of one worker among many.

    While Redis does not answer, rules hold as each of them says (``Share``); ``is_coordinated`` tells.
    """

    def __init__(
        self,
        nodes: Nodes,
        worker: str,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        *,
        namespace: str = "santral",
        workers: int = 1,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        """``clock`` in seconds since 1970; ``workers`` is how many there are on this machine."""
        self._nodes = nodes
        self._worker = worker
        self._clock = clock
        self._new_id = new_id
        self._sleep = sleep
        self._prefix = f"{namespace}:limits:"
        self._least_workers = workers
        self._workers = workers
        self._ahead_s = 0.0  # Redis' clock is ahead of ours by so much
        self._run = ""  # which run of Redis we know
        self._told = ""  # the run that knows what we hold
        self._expected = 0  # workers that were there when it began
        self._joining = asyncio.Lock()
        self._share = Share(clock)
        self._journal = Journal()
        self._pending: dict[str, _Command] = {}
        self._serial = 0
        self.is_coordinated = True
        self.errors = 0  # times that Redis could not be asked
        self.dropped = 0  # settlements that waited too long; the ledger has them

    @property
    def open_holds(self) -> int:
        """How many requests of this worker hold something in Redis now."""
        return len(self._journal.open)

    async def begin(self) -> None:
        """Say that this worker lives; a Redis that is away is not waited for."""
        await self._beat()

    async def run(self) -> None:
        """Renew, retry and look after Redis until cancelled."""
        try:
            while True:
                await self._sleep(BEAT_S)
                await self._beat()
        finally:
            self._nodes.close()

    def billed_until(self, moment: float) -> None:
        """Tell that the ledger knows everything that was used before ``moment``."""
        self._journal.forget(moment)

    async def reserve(self, claims: Sequence[Claim], need: Need) -> Hold:
        """Admit one request of at most ``need`` under every claim, or reserve nothing at all.

        Raises:
            QuotaExceeded: a limit is used up.
            LimitsUnavailable: Redis cannot be asked, and a rule refuses while that is so.
        """
        self._serial += 1
        id_ = f"{self._worker}-{self._serial}"
        if not claims:
            return new_hold(id_, [], [], need)
        if not self.is_coordinated:
            return await self._reserve_share(id_, claims, need)
        try:
            return await self._reserve_again(id_, claims, need)
        except (RedisDown, RedisRefused) as error:
            self._failed(error)
            return await self._reserve_share(id_, claims, need)

    async def extend(self, hold: Hold, need: Need) -> None:
        """Reserve ``need`` more under a hold, or nothing at all; see ``Limiter``.

        Raises:
            QuotaExceeded: there is no room; the hold is as it was.
            LimitsUnavailable: Redis cannot be asked, and a rule refuses while that is so.
        """
        if hold.is_closed or not hold.claims:
            return
        local = hold.local if isinstance(hold, RedisHold) else None
        if local is not None:
            return await self._share.extend(local, need)
        growing = [
            (claim, slot)
            for claim, slot in zip(hold.claims, hold.slots, strict=True)
            if claim.measure in ("tokens", "usd") and need.of(claim.measure)
        ]
        done: list[tuple[str, list[tuple[Claim, int]]]] = []
        try:
            for group in dict.fromkeys(claim.group for claim, _ in growing):
                part = [pair for pair in growing if pair[0].group == group]
                await self._extend(hold, group, part, need)
                done.append((group, part))
        except QuotaExceeded:
            for group, part in done:
                await self._extend(hold, group, part, Need(-need.tokens, -need.nanousd))
            raise
        except (RedisDown, RedisRefused) as error:
            self._failed(error)
            raise LimitsUnavailable(
                "What is left of a limit is kept in Redis, which does not answer.",
                retry_after_s=1.0,
            ) from None
        hold.need = Need(hold.need.tokens + need.tokens, hold.need.nanousd + need.nanousd)
        self._note(hold)

    async def _extend(
        self, hold: Hold, group: str, part: Sequence[tuple[Claim, int]], need: Need
    ) -> None:
        keys = self._keys(group)[1:]
        words: list[Word] = [hold.id, int(HOLD_S * 1000), len(part)]
        for claim, slot in part:
            key, field, _ = self._place(claim, slot)
            keys.append(key)
            kind, _, amount, limit, a, b, _, _ = words_of(claim, need)
            words += [kind, "d" if claim.rule.is_dry_run else "e", field, amount, limit, a, b]
        reply: list[int] = await self._nodes.run("extend", group, keys, words)
        if reply[0] == REFUSED:
            claims = [claim for claim, _ in part]
            stands = standings_in(claims, reply)
            rooms = reply[HEAD + 5 :: EACH_CLAIM]
            refused = [
                (standing, need.of(standing.claim.measure))
                for standing, room in zip(stands, rooms, strict=True)
                if not room and not standing.claim.rule.is_dry_run
            ]
            raise refusal(refused, hold.standings, self._now())

    async def settle(self, hold: Hold, used: Need) -> None:
        """Replace what ``hold`` reserved by what was used. A second call changes nothing.

        Nobody waits for Redis here: what it does not take now it gets later.
        """
        if hold.is_closed:
            return
        hold.is_closed = True
        local = hold.local if isinstance(hold, RedisHold) else None
        if local is not None:
            await self._share.settle(local, used)
        self._journal.open.pop(hold.id, None)
        if hold.claims:
            self._settle(hold, used)

    async def release(self, hold: Hold) -> None:
        """Give back what ``hold`` reserved. After ``settle``, or twice, nothing changes."""
        await self.settle(hold, Need())

    async def _reserve_again(self, id_: str, claims: Sequence[Claim], need: Need) -> Hold:
        """Reserve; once more where a connection was lost, as it is by a restart of Redis."""
        try:
            return await self._reserve(id_, claims, need)
        except (RedisLate, asyncio.CancelledError):
            self._give_back(id_, claims)
            raise
        except RedisDown:
            self._give_back(id_, claims)
        id_ = f"{id_}-2"
        try:
            return await self._reserve(id_, claims, need)
        except (RedisDown, asyncio.CancelledError):
            self._give_back(id_, claims)
            raise

    async def _reserve(self, id_: str, claims: Sequence[Claim], need: Need) -> Hold:
        standings: list[Standing] = []
        taken: list[tuple[Claim, int]] = []
        fall_to = ""
        for group, part in by_group(claims):
            reply = await self._decide(id_, group, part, need)
            stands = standings_in(part, reply)
            standings += stands
            rooms = reply[HEAD + 5 :: EACH_CLAIM]
            if reply[0] == REFUSED:
                self._give_back(id_, [claim for claim, _ in taken])
                raise self._refusal(part, stands, rooms, standings, need)
            for claim, room, slot in zip(part, rooms, reply[HEAD + 4 :: EACH_CLAIM], strict=True):
                if room or claim.rule.is_dry_run:
                    taken.append((claim, slot))
                else:
                    fall_to = fall_to or claim.rule.fall_to
        hold = new_hold(id_, [c for c, _ in taken], [s for _, s in taken], need)
        hold.standings, hold.now, hold.fall_to = standings, self._now(), fall_to
        self._note(hold)
        return hold

    async def _decide(self, id_: str, group: str, claims: Sequence[Claim], need: Need) -> list[int]:
        """Ask one group; again where Redis began anew, or our clock is in another window than its."""
        for _ in range(3):
            arguments: list[Word] = [self._run, id_, int(HOLD_S * 1000), len(claims)]
            keys, now = self._keys(group), self._now()
            for claim in claims:
                keys.append(self._account(claim, now))
                arguments += words_of(claim, need)
            reply: list[int] = await self._nodes.run("reserve", group, keys, arguments)
            self._ahead_s = reply[1] / 1000 - self._clock()
            if reply[0] <= ADMITTED:
                return reply
            if reply[0] == UNKNOWN_RUN:
                await self._join(group)
        raise RedisDown("its clock and ours do not agree on the window")

    def _refusal(
        self,
        claims: Sequence[Claim],
        stands: Sequence[Standing],
        rooms: Sequence[int],
        standings: Sequence[Standing],
        need: Need,
    ) -> Exception:
        refused = [
            (standing, need.of(claim.measure))
            for claim, standing, room in zip(claims, stands, rooms, strict=True)
            if claim.is_enforced and not room
        ]
        return refusal(refused, standings, self._now())

    async def _reserve_share(self, id_: str, claims: Sequence[Claim], need: Need) -> Hold:
        local = await self._share.reserve(claims, need)
        now = self._now()
        slots = [slot_of(claim, now) for claim in claims]
        hold = new_hold(id_, claims, slots, need)
        hold.local, hold.standings, hold.now = local, local.standings, now
        return hold

    def _settle(self, hold: Hold, used: Need) -> None:
        """Send what was used, group by group, and remember it until the ledger has it."""
        was_shared = isinstance(hold, RedisHold) and hold.local is not None
        amounts: list[Amount] = []
        for group, part in by_group(hold.claims):
            keys = self._keys(group)[1:]
            arguments: list[Word] = []
            for claim, slot in zip(hold.claims, hold.slots, strict=True):
                if claim not in part or claim.kind == "bucket":
                    continue
                reserved = 0 if was_shared else hold.need.of(claim.measure)
                spent = used.of(claim.measure) if claim.kind != "held" else 0
                key, field, lasts_ms = self._place(claim, slot)
                keys.append(key)
                arguments += [field, reserved, spent, lasts_ms]
                if spent:
                    amounts.append(Amount(group, key, field, spent, lasts_ms))
            if arguments:
                head: list[Word] = [hold.id, _KNOWN_MS, len(keys) - 2]
                self._send(f"{hold.id} {group}", ("settle", group, keys, head + arguments))
        if amounts:
            self._journal.settled(Settled(hold.id, self._clock(), amounts))

    def _give_back(self, id_: str, claims: Sequence[Claim]) -> None:
        """Release what an interrupted decision may have reserved, as soon as Redis can be asked."""
        for group in dict.fromkeys(claim.group for claim in claims):
            keys = self._keys(group)
            self._send(f"{id_} {group}", ("release", group, keys[1:], [id_, _KNOWN_MS]))

    def _send(self, name: str, command: _Command) -> None:
        """Run a script without waiting for it; what fails is tried again with the next beat."""
        if len(self._pending) >= _MOST_PENDING:
            del self._pending[next(iter(self._pending))]
            self.dropped += 1
        self._pending[name] = command
        if self.is_coordinated:
            script, group, keys, arguments = command
            reply = self._nodes.send(script, group, keys, arguments)
            if reply is not None:
                reply.add_done_callback(lambda done: self._was_sent(name, done))

    def _was_sent(self, name: str, reply: asyncio.Future[Any]) -> None:
        if not reply.cancelled() and reply.exception() is None:
            self._pending.pop(name, None)

    async def _beat(self) -> None:
        try:
            await self._hear()
            await self._renew()
            await self._send_pending()
        except (RedisDown, RedisRefused) as error:
            self._failed(error)
            return
        if not self.is_coordinated:
            self.is_coordinated = True
            log.info("limits_coordinated", extra={"workers": self._workers})

    async def _hear(self) -> tuple[float, int]:
        """Learn which run of Redis this is; return its age in seconds and how many have told it."""
        tag = self._prefix + "{workers}:"
        keys = [tag + "run", tag + "alive", tag + "told"]
        words: list[Word] = [self._new_id(), self._worker, _BELIEVED_MS, self._told]
        run, began_ms, now_ms, alive, told = await self._nodes.run("beat", "workers", keys, words)
        self._ahead_s = now_ms / 1000 - self._clock()
        known, self._run = self._run, run.decode()
        if known != self._run:
            self._expected = self._workers if known else 0
            if known:
                log.warning("limits_began_anew", extra={"holds": len(self._journal.open)})
        self._workers = max(int(alive), self._least_workers)
        if self._told != self._run:
            await self._restore()
            self._told = self._run
            return await self._hear()
        return (now_ms - began_ms) / 1000, int(told)

    async def _join(self, group: str) -> None:
        """Begin with a group whose counters are empty: new, or lost with a run of Redis.

        In the second case every worker that was there before has to tell first what it holds.
        """
        async with self._joining:
            while True:
                age_s, told = await self._hear()
                if age_s >= JOIN_MOST_S or (age_s >= JOIN_S and told >= self._expected):
                    break
                await self._sleep(BEAT_S / 5)
            await self._nodes.run("restore", group, self._keys(group), [self._run, 0])

    async def _restore(self) -> None:
        """Tell a Redis that began anew what this worker holds and has used lately."""
        entries = [
            (id_, int(HOLD_S * 1000), 1, amounts)
            for id_, (_, amounts) in self._journal.open.items()
        ]
        entries += [(made.id, _KNOWN_MS, 0, made.amounts) for made in self._journal.unbilled()]
        by_group: dict[str, list[tuple[str, int, int, list[Amount]]]] = {}
        for id_, lasts_ms, is_running, amounts in entries:
            for group in dict.fromkeys(amount.group for amount in amounts):
                of = [amount for amount in amounts if amount.group == group]
                by_group.setdefault(group, []).append((id_, lasts_ms, is_running, of))
        for group, told in by_group.items():
            for start in range(0, len(told), _AT_ONCE):
                await self._tell(group, told[start : start + _AT_ONCE])

    async def _tell(self, group: str, told: Sequence[tuple[str, int, int, list[Amount]]]) -> None:
        accounts = list(dict.fromkeys(amount.key for entry in told for amount in entry[3]))
        numbers = {key: number for number, key in enumerate(accounts, 1)}
        words: list[Word] = [self._run, len(told)]
        for id_, lasts_ms, is_running, amounts in told:
            words += [id_, lasts_ms, is_running, len(amounts)]
            for amount in amounts:
                words += [numbers[amount.key], amount.field, amount.amount, amount.lasts_ms]
        await self._nodes.run("restore", group, self._keys(group) + accounts, words)

    async def _renew(self) -> None:
        """Let the holds of requests that run for long last longer."""
        due = self._clock() - RENEW_AFTER_S
        by_group: dict[str, list[str]] = {}
        for id_, (hold, amounts) in self._journal.open.items():
            if hold.expires_at - HOLD_S > due:
                break  # the oldest come first
            for group in dict.fromkeys(a.group for a in amounts):
                by_group.setdefault(group, []).append(id_)
        for group, ids in by_group.items():
            await self._nodes.run(
                "renew", group, self._keys(group)[1:2], [int(HOLD_S * 1000), *ids]
            )
        for id_ in {id_ for ids in by_group.values() for id_ in ids}:
            entry = self._journal.open.get(id_)
            if entry is not None:
                entry[0].expires_at = self._clock() + HOLD_S
                self._journal.open.move_to_end(id_)

    async def _send_pending(self) -> None:
        """Send what was not sent or not answered. What Redis will never take does not stop the rest."""
        for name, (script, group, keys, arguments) in list(self._pending.items())[:_AT_ONCE]:
            try:
                await self._nodes.run(script, group, keys, arguments)
            except RedisRefused as error:
                if not str(error).startswith(("ERR ", "WRONGTYPE ")):
                    raise  # it is loading, or its cluster is not whole
                self.dropped += 1
                log.error("limits_settlement_refused", extra={"reason": str(error)})
            self._pending.pop(name, None)

    def _note(self, hold: Hold) -> None:
        amounts: list[Amount] = []
        for claim, slot in zip(hold.claims, hold.slots, strict=True):
            if claim.kind == "bucket":
                continue
            key, field, lasts_ms = self._place(claim, slot)
            amounts.append(Amount(claim.group, key, field, hold.need.of(claim.measure), lasts_ms))
        for standing in hold.standings:
            self._share.saw(
                standing.claim.account, slot_of(standing.claim, hold.now), standing.used
            )
        hold.expires_at = self._clock() + HOLD_S
        self._journal.open[hold.id] = (hold, amounts)

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        if self.is_coordinated:
            self.is_coordinated = False
            self._share.workers = self._workers
            log.warning(
                "limits_uncoordinated", extra={"reason": str(error), "workers": self._workers}
            )

    def _now(self) -> float:
        """Return what Redis' clock says, as far as we know."""
        return self._clock() + self._ahead_s

    def _keys(self, group: str) -> list[str]:
        tag = f"{self._prefix}{{{group}}}:"
        return [tag + "run", tag + "open", tag + "held"]

    def _account(self, claim: Claim, now: float) -> str:
        return self._place(claim, slot_of(claim, now))[0]

    def _place(self, claim: Claim, slot: int) -> tuple[str, str, int]:
        """Return an account's key, the field of a slot, and how long it lasts, in milliseconds."""
        key = f"{self._prefix}{{{claim.group}}}:a:{claim.account}"
        if claim.calendar is not None:
            lasts_s = LENGTH_S[claim.rule.window] * 2 + 3600
            return f"{key}:{slot}", "u", lasts_s * 1000
        if claim.kind == "rolling":
            return key, str(slot), (LENGTH_S[claim.rule.window] + 2 * claim.part_s) * 1000
        return key, "h", 0

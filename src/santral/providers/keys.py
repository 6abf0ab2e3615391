"""Several keys of one provider, used in turn; one that the provider refuses rests for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from santral.config.secret import SecretRef
from santral.errors import ConfigError, ProviderBusy, ProviderError, ProviderRefusedKey

log = logging.getLogger(__name__)

State = Literal["living", "busy", "dead"]
STATES: tuple[State, ...] = ("living", "busy", "dead")

#: How long a key rests that was refused, the first time and at most; doubled by every refusal that
#: follows without an answer between. Chosen: an operator who pays a bill waits minutes, and a
#: revoked key is asked for once an hour.
DEAD_S = 300.0
MAX_DEAD_S = 3600.0

#: How long a key rests after a 429 that gave no hint, and after one that gave a long one. Chosen.
BUSY_S = 2.0
MAX_BUSY_S = 3600.0

#: How long a token is used before its file is read again. Chosen: tokens live an hour, and whoever
#: renews them does so minutes before their end.
TOKEN_S = 60.0


class ProviderKey:
    """One key and the headers that carry it. ``number`` counts from 1: what logs call the key."""

    __slots__ = ("_headers", "number", "secret")

    def __init__(self, number: int, secret: str, headers: Mapping[str, str]) -> None:
        self.number = number
        self.secret = secret
        self._headers = dict(headers)

    @property
    def headers(self) -> Mapping[str, str]:
        """Every header of a call with this key; do not change it."""
        return self._headers

    def __repr__(self) -> str:
        return f"ProviderKey({self.number})"


class ProviderToken(ProviderKey):
    """A short-lived bearer token that something else renews: read anew every minute."""

    __slots__ = ("_clock", "_reads_at", "_reference")

    def __init__(
        self,
        number: int,
        reference: SecretRef,
        headers: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(number, "", headers)
        self._reference = reference
        self._clock = clock
        self._read()

    @property
    def headers(self) -> Mapping[str, str]:
        if self._clock() >= self._reads_at:
            try:
                self._read()
            except ConfigError as error:  # the old token may be good for a while
                self._reads_at = self._clock() + TOKEN_S
                log.warning("provider_token_unreadable", extra={"reason": error.message})
        return self._headers

    def _read(self) -> None:
        self.secret = self._reference.reveal()
        self._headers = {**self._headers, "authorization": f"Bearer {self.secret}"}
        self._reads_at = self._clock() + TOKEN_S


class _Rest(Struct):
    state: State
    until: float
    refusals: int


class KeyRotation:
    """The keys of one provider. A key rests as a whole, or for one model (a rate limit is the model's).

    A sole key never rests: nothing could answer in its place, and the deployment's breaker already
    keeps calls from it.
    """

    __slots__ = ("_clock", "_keys", "_next", "_provider", "_rests")

    def __init__(
        self,
        provider: str,
        keys: Sequence[ProviderKey],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._keys = tuple(keys)
        self._clock = clock
        self._next = 0
        self._rests: dict[tuple[int, str], _Rest] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, model: str = "") -> ProviderKey:
        """Return the next key that may be asked.

        Raises:
            ProviderBusy: every key rests, and one of them only waits for its rate limit.
            ProviderRefusedKey: the provider refused every key.
        """
        if len(self._keys) == 1:
            return self._keys[0]
        now = self._clock()
        for step in range(len(self._keys)):
            position = (self._next + step) % len(self._keys)
            if not self._rests or self._rest(position, model, now) is None:
                self._next = position + 1
                return self._keys[position]
        raise self._nobody(model, now)

    def worked(self, key: ProviderKey, model: str = "") -> None:
        """Note an answer: what the key was refused for before is forgotten."""
        if self._rests:
            self._rests.pop((key.number, model), None)
            self._rests.pop((key.number, ""), None)

    def failed(
        self, key: ProviderKey, error: ProviderError, model: str = ""
    ) -> ProviderError | None:
        """Note a refusal; return what to raise, or None where another key may be asked now."""
        if not isinstance(error, ProviderBusy | ProviderRefusedKey):
            return error
        now = self._clock()
        self._park(key, error, model, now)
        if len(self._keys) == 1:
            return error
        rests = [self._rest(position, model, now) for position in range(len(self._keys))]
        return None if None in rests else self._nobody(model, now, error)

    def states(self) -> dict[State, int]:
        """Return how many keys live, wait for a rate limit, or are refused."""
        now = self._clock()
        counts: dict[State, int] = dict.fromkeys(STATES, 0)
        for key in self._keys:
            worst = [
                rest.state
                for (number, _), rest in self._rests.items()
                if number == key.number and rest.until > now
            ]
            counts["dead" if "dead" in worst else "busy" if worst else "living"] += 1
        return counts

    def _rest(self, position: int, model: str, now: float) -> _Rest | None:
        """Return the longest rest of a key, or None where it may be asked."""
        number = self._keys[position].number
        found = [self._rests.get((number, scope)) for scope in ("", model)]
        resting = [rest for rest in found if rest is not None and rest.until > now]
        return max(resting, key=lambda rest: rest.until, default=None)

    def _park(self, key: ProviderKey, error: ProviderError, model: str, now: float) -> None:
        if isinstance(error, ProviderBusy):
            wait_s = BUSY_S if error.retry_after_s is None else error.retry_after_s
            self._rests[key.number, model] = _Rest("busy", now + min(wait_s, MAX_BUSY_S), 0)
            return
        # 403 may be about this model alone; 401 and 402 are about the key.
        scope = model if error.upstream_status == 403 else ""
        before = self._rests.get((key.number, scope))
        refusals = before.refusals + 1 if before is not None else 1
        wait_s = min(DEAD_S * 2 ** (refusals - 1), MAX_DEAD_S)
        self._rests[key.number, scope] = _Rest("dead", now + wait_s, refusals)
        log.warning(
            "provider_key_refused",
            extra={
                "provider": self._provider,
                "key": key.number,
                "status": error.upstream_status,
                "rests_s": round(wait_s),
            },
        )

    def _nobody(
        self, model: str, now: float, last: ProviderError | None = None
    ) -> ProviderBusy | ProviderRefusedKey:
        """Return the error for a moment at which no key may be asked."""
        rests = [self._rest(position, model, now) for position in range(len(self._keys))]
        busy = [rest.until - now for rest in rests if rest is not None and rest.state == "busy"]
        status = last.upstream_status if last is not None else None
        said = f" The last refusal: {last.message}" if last is not None else ""
        if busy:
            return ProviderBusy(
                f"Every key of the provider '{self._provider}' waits for its rate limit or is "
                f"refused; the first is back in {min(busy):.1f} s.{said}",
                upstream_status=status,
                retry_after_s=min(busy),
            )
        return ProviderRefusedKey(
            f"The provider '{self._provider}' refuses every one of its {len(self._keys)} keys.{said}",
            upstream_status=status,
            retry_after_s=min((r.until - now for r in rests if r is not None), default=None),
        )

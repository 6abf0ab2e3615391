"""What to do about an error: ask the same deployment again, wait for it, or go elsewhere."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from santral.errors import (
    ContentPolicyRefused,
    ContextWindowExceeded,
    DeploymentLimited,
    ModelNotFound,
    ParameterNotSupported,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
    ProviderUnreachable,
)

#: ``again``: the same deployment after a jittered pause. ``wait``: another deployment at once, or
#: this one when the provider said it has room again. ``elsewhere``: another deployment at once.
#: ``never``: the request itself is refused. Source of the table: field research on gateways,
#: "retry hints", and what the vendors' own SDKs retry.
Treatment = Literal["again", "wait", "elsewhere", "never"]

TREATMENTS: dict[type[ProviderError], Treatment] = {
    ProviderUnreachable: "again",
    ProviderFailed: "again",
    ProviderBusy: "wait",
    DeploymentLimited: "wait",
    # It cost the request a whole clock already: the next deployment is the better bet.
    ProviderTimeout: "elsewhere",
    ProviderGarbled: "elsewhere",
    ProviderRefusedKey: "elsewhere",
    ContextWindowExceeded: "elsewhere",
    ContentPolicyRefused: "elsewhere",
    ModelNotFound: "elsewhere",
    ParameterNotSupported: "elsewhere",
    ProviderRefusedRequest: "never",
    ProviderError: "elsewhere",
}

#: Names of the settings ``on_<name>`` of a route, and the errors that each one is about.
CLASSES: dict[str, tuple[type[ProviderError], ...]] = {
    "context_window": (ContextWindowExceeded,),
    "content_policy": (ContentPolicyRefused,),
    "rate_limit": (ProviderBusy,),
    "timeout": (ProviderTimeout,),
    "server_error": (ProviderFailed, ProviderUnreachable, ProviderGarbled),
}

#: A hint is waited for and this part of it longer, at most: who was refused together should not
#: come back together. Chosen.
HINT_JITTER = 0.1


class RetrySettings(Struct, frozen=True, kw_only=True):
    """How often and after which pause one deployment is asked again."""

    retries: int = 1
    backoff_s: float = 0.25
    max_backoff_s: float = 8.0

    def pause_s(self, retry: int, draw: float) -> float:
        """Return the pause before the ``retry``-th retry (from 1), by "full jitter".

        ``draw`` is from 0 up to 1. Source: AWS Architecture Blog, Exponential Backoff And Jitter.
        """
        return draw * min(self.max_backoff_s, self.backoff_s * 2.0 ** (retry - 1))

    def hinted_pause_s(self, hint_s: float, draw: float) -> float | None:
        """Return the pause that a provider asked for, or None where it is too long to wait."""
        return None if hint_s > self.max_backoff_s else hint_s * (1 + HINT_JITTER * draw)


def treatment_of(error: ProviderError) -> Treatment:
    """Return what to do about an error, by its class."""
    if not error.retryable:
        return "never"
    return next(TREATMENTS[kind] for kind in type(error).__mro__ if kind in TREATMENTS)


def class_of(error: ProviderError) -> str:
    """Return the name under which a route's ``on_<name>`` speaks of an error, or nothing."""
    return next((name for name, kinds in CLASSES.items() if isinstance(error, kinds)), "")

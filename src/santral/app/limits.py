"""Where a worker counts: in its own memory, or with all others in Redis."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from santral.config.schema import Config
from santral.errors import ConfigError
from santral.quota.memory import MemoryLimiter

if TYPE_CHECKING:
    from santral.quota.redis.limiter import RedisLimiter

#: What was used so long before the access file was read is in the ledger, in seconds. Chosen: a
#: collector is seldom a few seconds behind.
BILLED_AFTER_S = 60.0


def build_limiter(config: Config, worker: str, rng: random.Random) -> MemoryLimiter | RedisLimiter:
    """Return the limiter of a worker.

    Raises:
        ConfigError: ``limits.url`` is no address of Redis, or its client is not installed.
    """
    settings = config.limits
    if settings.url is None:
        return MemoryLimiter(time.time)
    try:
        # Only where it is configured: the extra is not always installed.
        from santral.quota.redis.address import read_address  # noqa: PLC0415
        from santral.quota.redis.limiter import RedisLimiter  # noqa: PLC0415
        from santral.quota.redis.nodes import Nodes  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "limits.url needs the Redis client. Install it: pip install 'santral[redis]'."
        ) from None
    nodes = Nodes(read_address(settings.url.reveal()), settings.timeout_ms / 1000)
    return RedisLimiter(
        nodes,
        f"{worker}-{rng.getrandbits(32):08x}",  # a restarted worker is another one
        time.time,
        lambda: f"{rng.getrandbits(64):016x}",
        namespace=settings.namespace,
        workers=config.server.workers,
    )

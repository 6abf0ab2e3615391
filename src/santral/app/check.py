"""Whether a configuration can be served: everything it names is compiled, as a worker would do it."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from functools import partial

from santral.config.load import LoadedConfig
from santral.config.secret import SEALED


def check_servable(loaded: LoadedConfig) -> list[str]:
    """Compile the policies, prompts, schemas, prices and providers that ``loaded`` names.

    Returns what will break later, a sentence each: models that their provider ends soon.

    Raises:
        ConfigError: one of them cannot be used; a gateway would refuse this configuration.
    """
    # Only this command needs them: the others start sooner without.
    from santral.app.access import Access  # noqa: PLC0415
    from santral.app.providers import ProviderPool  # noqa: PLC0415
    from santral.app.sealing import open_sealed  # noqa: PLC0415
    from santral.gateway.state import build_snapshot  # noqa: PLC0415
    from santral.providers.catalogue.catalogue import catalogue_in  # noqa: PLC0415
    from santral.providers.catalogue.retirement import retirements  # noqa: PLC0415

    SEALED.when_needed(partial(open_sealed, loaded.config))
    rng = random.Random()  # noqa: S311 - nothing is sent
    providers = ProviderPool(time.monotonic, time.time, rng).build(loaded.config.providers)
    build_snapshot(loaded, providers, Access.empty().ring)
    today = datetime.now(UTC).date()
    ending = retirements(loaded.config, catalogue_in(loaded.config.data.folder), today)
    return [one.said(today) for one in ending]

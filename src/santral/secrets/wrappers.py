"""The keys that wrap, as the configuration names them: one that wraps, others that still unwrap."""

from __future__ import annotations

from collections.abc import Mapping

from santral.config.safekeeping import SecretsConfig
from santral.errors import ConfigError
from santral.secrets.master import KeyWrapper, MasterKey
from santral.secrets.transit import Transit


class Wrappers:
    """Wraps with one key, unwraps with every known one."""

    def __init__(self, current: KeyWrapper, others: Mapping[str, KeyWrapper]) -> None:
        self.current = current
        self._known = {**others, current.id: current}

    def unwrap(self, wrapped_by: str, wrapped: bytes, place: bytes) -> bytes:
        """Return the data key that the key ``wrapped_by`` wrapped.

        Raises:
            ConfigError: that key is not configured.
            SealBroken: the bytes were changed or moved.
            StoreError: the key management does not answer.
        """
        wrapper = self._known.get(wrapped_by)
        if wrapper is None:
            raise ConfigError(
                f"A data key was wrapped by the key '{wrapped_by}', and this is none of those in "
                "[secrets]. Name it in secrets.previous_master_keys until santral secrets rewrap "
                "is done."
            )
        return wrapper.unwrap(wrapped, place)


def wrappers_from(config: SecretsConfig) -> Wrappers:
    """Return what wraps and unwraps by the section ``[secrets]``.

    Raises:
        ConfigError: it names no key, or one that cannot be read.
    """
    wraps = config.wrap_with or ("transit" if config.transit else "master_key")
    transit = Transit(config.transit) if config.transit else None
    master = MasterKey.read(config.master_key, "secrets.master_key") if config.master_key else None
    current = transit if wraps == "transit" else master
    if current is None:
        raise ConfigError(
            f"secrets.{wraps} is not set, and nothing can be sealed or opened without it. Make a "
            "key with 'openssl rand -base64 32', keep it outside the database, and name it: "
            '[secrets] master_key = "env:MASTER_KEY"'
        )
    others: list[KeyWrapper] = [
        MasterKey.read(reference, f"secrets.previous_master_keys.{place}")
        for place, reference in enumerate(config.previous_master_keys)
    ]
    others += [wrapper for wrapper in (transit, master) if wrapper is not None]
    return Wrappers(current, {wrapper.id: wrapper for wrapper in others})

"""Providers of a process: one client each, kept across reloads while their settings stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from santral.config.sealed import sealed_values
from santral.config.upstreams import ProviderConfig
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.batch.deferred import DeferringClient
from santral.providers.batch.interface import ProviderBatches
from santral.providers.connection import connect_to
from santral.providers.keys import KeyRotation, State
from santral.providers.local.embed import MODELS as LOCAL_MODELS
from santral.providers.local.embed import LocalEmbedder, LocalReranker, TextFeatures
from santral.providers.local.provider import Analysis, LocalProvider
from santral.providers.provider import Operation, Provider
from santral.providers.registry import BATCHES, VENDORS, build_provider
from santral.providers.tasks.http import Doer
from santral.providers.tasks.tasked import Tasked
from santral.retrieval.analysis.analyse import detect_language, ngrams, sentences, terms
from santral.traces.ids import RandomBits

#: How long a client that no configuration names is kept for the calls that still use it, in
#: seconds. Chosen: the longest answer that the default clocks allow, and a margin.
RETIRE_AFTER_S = 900.0


class _Held(Struct):
    """A provider with what it was built from, sealed secrets as they were then."""

    config: ProviderConfig
    sealed: tuple[str, ...]
    provider: Provider
    client: AiohttpClient

    def __repr__(self) -> str:
        return f"_Held({self.config.kind})"


class ProviderPool:
    """Builds providers from settings; unchanged settings keep their provider and its connections.

    A sealed secret that was changed counts as a changed setting.
    """

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], rng: RandomBits
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._rng = rng
        self._held: dict[str, _Held] = {}
        self._pending = self._held
        self._retired: list[tuple[float, AiohttpClient]] = []
        self._batches: dict[str, tuple[_Held, ProviderBatches]] = {}
        self._rotations: dict[str, KeyRotation] = {}
        self._analysis = Analysis(
            terms=_terms, ngrams=ngrams, sentences=sentences, detect_language=detect_language
        )

    def build(self, settings: Mapping[str, ProviderConfig]) -> dict[str, Provider]:
        """Return a provider for every setting. Nothing held changes before ``keep``.

        Raises:
            ConfigError: an unknown kind, or a secret that cannot be read.
        """
        fresh = {name: self._one(name, config) for name, config in settings.items()}
        self._pending = fresh
        return {name: held.provider for name, held in fresh.items()}

    def keep(self) -> None:
        """Hold what was built last; clients that are no longer named are closed later."""
        now = self._clock()
        kept = {id(held.client) for held in self._pending.values()}
        gone = [held.client for held in self._held.values() if id(held.client) not in kept]
        self._retired += [(now + RETIRE_AFTER_S, client) for client in gone]
        self._held = self._pending

    def key_states(self) -> dict[str, dict[State, int]]:
        """Return how many keys of each provider in force live, wait, or are refused."""
        return {name: keys.states() for name, keys in self._rotations.items() if name in self._held}

    def batches(self, name: str) -> ProviderBatches | None:
        """Return the batch interface of a provider in force, made when first asked for.

        Raises:
            ConfigError: a secret that cannot be read.
        """
        held = self._held.get(name)
        if held is None or held.config.kind not in BATCHES:
            return None
        config = held.config
        made = self._batches.get(name)
        if made is None or made[0] is not held:
            vendor = VENDORS[config.kind]
            connection = connect_to(name, config, vendor, held.client)
            made = self._batches[name] = held, BATCHES[config.kind](connection)
        return made[1]

    async def close_retired(self) -> None:
        """Close the clients whose time has come."""
        now = self._clock()
        due = [client for at, client in self._retired if at <= now]
        self._retired = [entry for entry in self._retired if entry[0] > now]
        for client in due:
            await client.close()

    async def close(self) -> None:
        """Close every client."""
        for _, batches in self._batches.values():
            await batches.close()
        clients = [held.client for held in self._held.values()]
        for client in [*clients, *(client for _, client in self._retired)]:
            await client.close()

    def _one(self, name: str, config: ProviderConfig) -> _Held:
        held = self._held.get(name)
        sealed = sealed_values(config)
        if held is not None and held.config == config and held.sealed == sealed:
            return held
        client = AiohttpClient(max_connections=config.max_connections)
        provider = build_provider(
            name, config, DeferringClient(client), self._local, self._rotations
        )
        return _Held(config, sealed, provider, client)

    def _local(self) -> Provider:
        answerer = LocalProvider(
            self._analysis,
            clock=self._wall,
            new_id=lambda: f"chatcmpl-{self._rng.getrandbits(96):024x}",
        )
        features = TextFeatures(terms=_prefixes, ngrams=ngrams)
        doers: dict[Operation, Doer] = {
            "embed": LocalEmbedder(features),
            "rerank": LocalReranker(features),
        }
        return Tasked(answerer, doers, purposes=LOCAL_MODELS)


def _terms(text: str, language: str) -> list[str]:
    return terms(text, language if language in ("tr", "en") else "other")


def _prefixes(text: str) -> list[str]:
    """Return stems by one rule for every language: a query is too short to tell its own."""
    return terms(text, "tr")

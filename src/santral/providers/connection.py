"""What every dialect needs to reach its provider: address, headers, keys, client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import ConfigError, ProviderError
from santral.providers.exchange import Exchange
from santral.providers.keys import KeyRotation, ProviderKey, ProviderToken
from santral.providers.upstream import UpstreamClient
from santral.providers.vendor import Vendor

USER_AGENT = "santral"


class Refusal(Protocol):
    """Reads an answer with another status than 200 as our error.

    ``now`` is in seconds since the Unix epoch, for a ``retry-after`` that is a date; ``secret`` is
    cut out of the message.
    """

    def __call__(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str
    ) -> ProviderError: ...


class Connection(Struct, frozen=True, kw_only=True):
    """One entry of ``[providers]``, read: what a dialect is built from.

    ``keys`` sign the calls: ``post`` does it all. ``headers`` and ``secret`` are those of the first
    key, for a dialect that signs in its own way (``auth="own"``): there ``headers`` hold no key.
    """

    name: str
    config: ProviderConfig
    vendor: Vendor
    client: UpstreamClient
    base_url: str  # without a slash at its end
    secret: str  # never in a message or a log
    headers: Mapping[str, str]
    keys: KeyRotation
    wall_clock: Callable[[], float] = time.time  # noqa: TID251 - the default of an argument

    def __repr__(self) -> str:
        return f"Connection({self.name!r}, {self.base_url!r})"  # no key, whoever prints it

    async def post(
        self,
        url: str,
        body: bytes,
        timeouts: TimeoutsConfig,
        refusal: Refusal,
        *,
        model: str = "",
        is_streaming: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Send a call with a key that lives; return its answer, which has the status 200.

        A key that the provider refuses or throttles rests, and the next one is asked: that is no
        failure of the deployment. ``more`` are headers of this call. The caller enters what it gets at once, which closes it.

        Raises:
            ProviderBusy, ProviderRefusedKey: no key is left to ask.
            ProviderError: what ``refusal`` read, or what the client raised.
        """
        while True:
            key = self.keys.take(model)
            headers = {**key.headers, **more} if more else key.headers
            response = await self.client.post(
                url, headers, body, timeouts, is_streaming=is_streaming
            )
            if response.status == 200:
                self.keys.worked(key, model)
                return Exchange(response, key, self.keys, model)
            try:
                body, now = await response.read(), self.wall_clock()
                error = refusal(response.status, response.headers, body, now=now, secret=key.secret)
            finally:
                await response.close()
            final = self.keys.failed(key, error, model)
            if final is not None:
                raise final


def connect_to(
    name: str,
    config: ProviderConfig,
    vendor: Vendor,
    client: UpstreamClient,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
) -> Connection:
    """Read what ``[providers.<name>]`` says; the keys are read once, now.

    Raises:
        ConfigError: no or an unusable address, no key.
    """
    secrets = read_secrets(name, config, vendor)
    common = common_headers(config)
    keys = [
        ProviderKey(number, secret, signed(common, secret, config, vendor))
        for number, secret in enumerate(secrets, 1)
    ]
    if config.bearer_token is not None:
        keys = [ProviderToken(1, config.bearer_token, common, clock)]
    return Connection(
        name=name,
        config=config,
        vendor=vendor,
        client=client,
        base_url=read_base_url(name, config, vendor),
        secret=keys[0].secret,
        headers=keys[0].headers,
        keys=KeyRotation(name, keys, clock),
        wall_clock=wall_clock,
    )


def read_secrets(name: str, config: ProviderConfig, vendor: Vendor) -> list[str]:
    """Return the provider's keys, each once; one empty text where it needs none."""
    references: list[tuple[str, SecretRef]] = []
    if config.api_key is not None:
        references.append(("api_key", config.api_key))
    references += [(f"api_keys.{n}", reference) for n, reference in enumerate(config.api_keys)]
    if config.bearer_token is not None and references:
        raise ConfigError(f"providers.{name}.bearer_token: give either a token or keys, not both.")
    secrets = [read_secret(f"providers.{name}.{place}", ref) for place, ref in references]
    own = {"authorization", "api-key", vendor.key_header}
    has_own = any(header.lower() in own for header in config.headers)
    is_signed = bool(secrets) or has_own or config.bearer_token is not None
    if vendor.auth == "bearer" and not is_signed:
        raise ConfigError(
            f"providers.{name}.api_key: {vendor.title} needs a key; give it by reference, "
            "for example env:PROVIDER_API_KEY."
        )
    return list(dict.fromkeys(secrets)) or [""]


def read_secret(place: str, reference: SecretRef) -> str:
    secret = reference.reveal()
    # A line feed in a key would let it write headers; one at the end is a careless file.
    if not secret.isascii() or not secret.isprintable():
        raise ConfigError(f"{place}: holds characters no header may carry.")
    return secret


def signed(
    common: Mapping[str, str], secret: str, config: ProviderConfig, vendor: Vendor
) -> dict[str, str]:
    """Return the headers of a call with this key; a header of the configuration stands."""
    own = {header.lower() for header in config.headers}
    if not secret or vendor.auth == "own" or vendor.key_header in own:
        return dict(common)
    is_bearer = vendor.key_header == "authorization"
    return {**common, vendor.key_header: f"Bearer {secret}" if is_bearer else secret}


def read_base_url(name: str, config: ProviderConfig, vendor: Vendor) -> str:
    url = (config.base_url or vendor.base_url).rstrip("/")
    place = f"providers.{name}.base_url"
    if not url:
        raise ConfigError(f"{place}: '{vendor.kind}' has no address of its own; set one.")
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigError(f"{place}: '{url}' is not a URL.") from None
    if not is_sound:
        raise ConfigError(f"{place}: '{url}' must begin with http:// or https:// and name a host.")
    if parts.username or parts.password:
        raise ConfigError(f"{place}: put the credential into api_key, not into the URL.")
    if parts.query or parts.fragment:
        raise ConfigError(f"{place}: '{url}' must not hold '?' or '#'.")
    return url


def common_headers(config: ProviderConfig) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        # Compressing saves nothing on a few kilobytes and holds deltas back.
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
    }
    return headers | {header.lower(): value for header, value in config.headers.items()}

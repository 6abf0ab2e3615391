"""What every dialect needs to reach its provider: address, headers, key, client."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from santral.config.upstreams import ProviderConfig
from santral.errors import ConfigError
from santral.providers.upstream import UpstreamClient
from santral.providers.vendor import Vendor

USER_AGENT = "santral"


class Connection(Struct, frozen=True, kw_only=True):
    """One entry of ``[providers]``, read: what a dialect is built from.

    ``headers`` hold the key as ``Authorization: Bearer`` where the vendor signs in like that; a
    dialect that does otherwise (``auth="own"``) adds its own from ``secret``, which never enters a
    message or log.
    """

    name: str
    config: ProviderConfig
    vendor: Vendor
    client: UpstreamClient
    base_url: str  # without a slash at its end
    secret: str
    headers: dict[str, str]


def connect_to(
    name: str, config: ProviderConfig, vendor: Vendor, client: UpstreamClient
) -> Connection:
    """Read what ``[providers.<name>]`` says; the key is read once, now.

    Raises:
        ConfigError: no or an unusable address, no key.
    """
    secret = read_secret(name, config, vendor)
    return Connection(
        name=name,
        config=config,
        vendor=vendor,
        client=client,
        base_url=read_base_url(name, config, vendor),
        secret=secret,
        headers=common_headers(config, "" if vendor.auth == "own" else secret),
    )


def read_secret(name: str, config: ProviderConfig, vendor: Vendor) -> str:
    if config.api_key is not None:
        secret = config.api_key.reveal()
        # A line feed in a key would let it write headers; one at the end is a careless file.
        if not secret.isascii() or not secret.isprintable():
            raise ConfigError(f"providers.{name}.api_key: holds characters no header may carry.")
        return secret
    has_own = any(header.lower() in ("authorization", "api-key") for header in config.headers)
    if vendor.auth == "bearer" and not has_own:
        raise ConfigError(
            f"providers.{name}.api_key: {vendor.title} needs a key; give it by reference, "
            "for example env:PROVIDER_API_KEY."
        )
    return ""


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


def common_headers(config: ProviderConfig, secret: str) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        # Compressing saves nothing on a few kilobytes and holds deltas back.
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
    }
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    return headers | {header.lower(): value for header, value in config.headers.items()}

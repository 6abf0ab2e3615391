"""Builds the way through the OpenID provider, where the settings name one."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from santral.config.schema import Config
from santral.errors import ConfigError

if TYPE_CHECKING:
    from santral.tenants.oidc.flow import SignIn


def build_sign_in(config: Config) -> SignIn | None:
    """Return the way through the provider; it is asked nothing before somebody signs in.

    Raises:
        ConfigError: a package is missing.
    """
    if config.sso is None:
        return None
    try:
        from santral.tenants.oidc.flow import SignIn  # noqa: PLC0415 - needs the extra
        from santral.tenants.oidc.issuer import Issuer  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("joserfc", "cryptography"):
            raise
        raise ConfigError(
            "sso: single sign-on needs a package that is not here. Install it with: "
            "pip install 'santral[sso]'"
        ) from None
    issuer = Issuer(config.sso, time.monotonic)
    return SignIn(config.sso, issuer, secrets.token_bytes, time.time)

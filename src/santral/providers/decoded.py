"""Reading what a provider sent: what is not as it should be is its fault, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from santral.errors import ProviderGarbled

D = TypeVar("D", bound="bytes | Raw")
T = TypeVar("T")


def decoded(read: Callable[[D], T], data: D) -> T:
    """Return what ``read``, nearly always ``decode`` of a decoder, makes of ``data``.

    Raises:
        ProviderGarbled: it is not JSON, or has a field of a wrong type.
    """
    try:
        return read(data)
    except msgspec.ValidationError as error:
        raise ProviderGarbled(
            f"The provider's answer has a field of a wrong type: {error}."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        what = "an HTML page" if bytes(data).lstrip()[:1] == b"<" else "not JSON"
        raise ProviderGarbled(f"The provider's answer is {what}.") from None

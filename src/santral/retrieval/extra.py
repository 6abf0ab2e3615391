"""Extras: libraries that some ways of reading and indexing need and a gateway does not."""

from __future__ import annotations

import importlib
from types import ModuleType

from santral.errors import StoreError


def needed(module: str, purpose: str, extra: str = "rag") -> ModuleType:
    """Return a module of an extra.

    Raises:
        StoreError: it is not installed; the sentence says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise StoreError(
            f"'{package}' is needed {purpose} and is not installed. "
            f"Install it with: pip install 'santral[{extra}]'",
            code="extra_missing",
        ) from None

"""The ``rag`` extra: libraries that reading and indexing need and a gateway does not."""

from __future__ import annotations

import importlib
from types import ModuleType

from santral.errors import StoreError


def needed(module: str, purpose: str) -> ModuleType:
    """Return a module of the ``rag`` extra.

    Raises:
        StoreError: it is not installed; the sentence says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise StoreError(
            f"'{package}' is needed {purpose} and is not installed. "
            "Install it with: pip install 'santral[rag]'",
            code="extra_missing",
        ) from None

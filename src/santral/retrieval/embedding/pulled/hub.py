"""Models of a hub: the files of a repository, fetched over HTTP within a size and a time.

Source of the layout: https://huggingface.co/docs/hub/api, and ``/<name>/resolve/<revision>/<file>``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
from msgspec import Struct, field

from santral.errors import BadRequest, StoreError
from santral.retrieval.embedding.pulled.raw import DESCRIPTIONS, ONNX, WEIGHTS, Raw

#: Where models are looked for, unless HF_ENDPOINT or --hub names another hub.
HUB = "https://huggingface.co"
#: Clocks of one file, in seconds, and bytes of one. Chosen: the models that run on a processor.
CONNECT_S, SILENT_S, TOTAL_S = 10.0, 60.0, 3_600.0
MOST_BYTES = 2_000_000_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_PART = 1 << 20


class _File(Struct, frozen=True):
    rfilename: str


class _Card(Struct, frozen=True):
    license: Any = None
    language: Any = None


class _Repository(Struct, frozen=True, rename={"card": "cardData"}):
    sha: str = "main"
    siblings: list[_File] = field(default_factory=list[_File])
    card: _Card | None = None


def is_hub_name(name: str) -> bool:
    """Whether a name is one of a hub: ``owner/model``."""
    return _NAME.fullmatch(name) is not None


async def fetch_repository(draft: Path, name: str, hub: str, token: str = "") -> Raw:
    """Return a model of a hub, fetched at the revision that is there now.

    Raises:
        BadRequest: the hub knows no such model, or it cannot be run here.
        StoreError: the hub cannot be reached, or what it sent was cut.
    """
    folder = draft / "raw"
    folder.mkdir()
    clocks = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S, sock_read=SILENT_S)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        async with aiohttp.ClientSession(timeout=clocks, headers=headers) as session:
            said = await _repository(session, hub, name)
            for file in _wanted(said):
                address = f"{hub}/{name}/resolve/{said.sha}/{file}"
                await _save(session, address, folder / file)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise StoreError(
            f"The hub {hub} cannot be reached: {error or type(error).__name__}. Name another with "
            "--hub or HF_ENDPOINT, or take an endpoint: embedding = 'deployment:NAME'.",
            code="model_unreachable",
        ) from None
    card = said.card or _Card()
    return Raw(
        folder=folder,
        source=f"{hub}/{name}@{said.sha[:12]}",
        licence=card.license if isinstance(card.license, str) else "unknown",
        languages=_languages(card.language),
    )


async def _repository(session: aiohttp.ClientSession, hub: str, name: str) -> _Repository:
    async with session.get(f"{hub}/api/models/{name}") as answer:
        if answer.status in (401, 403, 404):
            raise BadRequest(
                f"The hub {hub} has no model '{name}', or does not show it (status {answer.status}). "
                "For one that is gated, set HF_TOKEN.",
                code="model_unfit",
                param="name",
            )
        answer.raise_for_status()
        try:
            return msgspec.json.decode(await answer.read(), type=_Repository)
        except msgspec.DecodeError:
            raise StoreError(
                f"{hub} does not answer as a hub does.", code="model_unreachable"
            ) from None


def _wanted(said: _Repository) -> Sequence[str]:
    """Return the files to fetch: what says what it is, and one form of its weights."""
    there = {file.rfilename for file in said.siblings}
    weights = [name for name in (ONNX, WEIGHTS) if name in there]
    if not weights:
        raise BadRequest(
            "The model has neither onnx/model.onnx nor model.safetensors: nothing here runs it.",
            code="model_unfit",
            param="name",
        )
    return [*(name for name in DESCRIPTIONS if name in there), weights[0]]


async def _save(session: aiohttp.ClientSession, address: str, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    made, size = sha256(), 0
    async with session.get(address) as answer:
        answer.raise_for_status()
        with place.open("wb") as file:
            async for part in answer.content.iter_chunked(_PART):
                size += len(part)
                if size > MOST_BYTES:
                    raise BadRequest(
                        f"{address} is longer than {MOST_BYTES} bytes.", code="model_unfit"
                    )
                made.update(part)
                file.write(part)
        _require_whole(address, answer.headers.get("X-Linked-Etag", ""), made.hexdigest())


def _require_whole(address: str, etag: str, found: str) -> None:
    """Compare with the hub's own checksum, where it gives one: large files are named by SHA-256."""
    said = etag.strip('W/"')
    if len(said) == len(found) and said != found:
        raise StoreError(f"{address} came damaged. Pull again.", code="model_unreachable")


def _languages(said: Any) -> tuple[str, ...]:
    """Return the languages a model is for; of many, none: any."""
    if isinstance(said, str):
        return () if said == "multilingual" else (said,)
    if not isinstance(said, list):
        return ()
    texts = [str(one) for one in cast("list[object]", said)]
    return () if "multilingual" in texts or len(texts) > 10 else tuple(texts)

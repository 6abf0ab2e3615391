"""``santral collections chunk``: what a file becomes, before anything is stored."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from santral.config.collections import CollectionConfig
from santral.config.load import load
from santral.errors import BadRequest, NotFound, nearest
from santral.retrieval.collection import Recipe, recipe_of
from santral.retrieval.document import Chunk, Document, UnreadableError
from santral.retrieval.reading.file import ReadOptions
from santral.retrieval.reading.read import read_bytes
from santral.retrieval.reading.workshop import Workshop
from santral.traces.readable import visible

#: Letters shown of a chunk without ``--full``. Chosen: three lines of a terminal.
_SHOWN = 240

Setting = Annotated[int | None, typer.Option(show_default="as the collection says", min=1)]


def chunk(
    file: Annotated[Path, typer.Argument(help="A file of any format that is read.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Store nothing; the command never does.")
    ] = True,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", help="Split as this one of santral.toml is.", show_default="none"
        ),
    ] = None,
    chunking: Annotated[
        str | None,
        typer.Option(help="recursive, window, semantic or whole.", show_default="recursive"),
    ] = None,
    child_tokens: Setting = None,
    parent_tokens: Setting = None,
    overlap_tokens: Setting = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Read scanned pages with tesseract.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Print texts whole.")] = False,
) -> None:
    """Show the chunks that a file would become: lengths, sections, pages, texts.

    Nothing is stored. Exit status 1 where the file cannot be read.
    """
    del preview
    changes = {
        "chunking": chunking,
        "child_tokens": child_tokens,
        "parent_tokens": parent_tokens,
        "overlap_tokens": overlap_tokens,
    }
    recipe = _recipe(collection, {name: value for name, value in changes.items() if value})
    console = Console()
    try:
        document, chunks = asyncio.run(_split(file, recipe, ReadOptions(ocr=ocr)))
    except UnreadableError as error:
        console.print(f"{file}: {visible(str(error))}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    _print(console, file, document, chunks, full)


async def _split(
    file: Path, recipe: Recipe, options: ReadOptions
) -> tuple[Document, Sequence[Chunk]]:
    """Read and split a file as an ingest does, in a child process."""
    async with Workshop() as workshop:
        document = await workshop.read(file.name, read_bytes(file), options=options)
        return document, await workshop.split(document, recipe)


def _recipe(collection: str | None, changes: dict[str, object]) -> Recipe:
    """Return how a collection is split, apart from what was said otherwise."""
    declared: CollectionConfig | None = None
    if collection is not None:
        known = load(None, os.environ).config.collections
        declared = known.get(collection)
        if declared is None:
            raise NotFound(
                f"santral.toml declares no collection '{collection}'.{nearest(collection, known)} "
                "Give --chunking and --child-tokens instead.",
                code="collection_not_found",
            )
    settings = declared.model_dump() if declared is not None else {}
    if "child_tokens" in changes and "parent_tokens" not in changes:
        changes["parent_tokens"] = max(
            settings.get("parent_tokens", CollectionConfig().parent_tokens),
            changes["child_tokens"],
        )
    try:
        return recipe_of(CollectionConfig.model_validate({**settings, **changes}))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "chunking"
        raise BadRequest(f"{place}: {first['msg']}.", code="bad_setting", param=place) from None


def _print(
    console: Console, file: Path, document: Document, chunks: Sequence[Chunk], full: bool
) -> None:
    def say(text: str, style: str | None = None) -> None:
        # Documents are other people's text: never read as markup.
        console.print(visible(text), style=style, markup=False, highlight=False, soft_wrap=True)

    about = f"{document.kind}, language {document.language}, {len(chunks)} chunks"
    say(f"{file.name}: {document.title} ({about})", "bold")
    for each in chunks:
        said = [f"#{each.position}", f"{each.tokens} tokens", f"parent {each.parent}",
                f"characters {each.start}-{each.end}", _pages(each), each.section]  # fmt: skip
        say("\n" + ", ".join(part for part in said if part), "cyan")
        for line in _shown(each.text, full).split("\n"):
            say(line)


def _pages(chunk: Chunk) -> str:
    pages = list(dict.fromkeys(each.page for each in chunk.pages))
    if not pages:
        return ""
    return f"page {pages[0]}" if len(pages) == 1 else f"pages {pages[0]}-{pages[-1]}"


def _shown(text: str, full: bool) -> str:
    return text if full or len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()} ..."

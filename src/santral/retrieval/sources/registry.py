"""Every kind of source: what it is told, and what lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from santral.config.secret import SecretRef
from santral.errors import BadRequest, nearest
from santral.retrieval.sources.confluence import ConfluenceSource
from santral.retrieval.sources.folder import FolderSource
from santral.retrieval.sources.git import GitSource
from santral.retrieval.sources.notion import NotionSource
from santral.retrieval.sources.pages import UrlSource
from santral.retrieval.sources.push import PushSource
from santral.retrieval.sources.s3 import S3Source
from santral.retrieval.sources.settings import (
    ConfluenceSettings,
    ExportSettings,
    FolderSettings,
    GitSettings,
    NotionSettings,
    PushSettings,
    S3Settings,
    SitemapSettings,
    SourceSettings,
    UrlSettings,
)
from santral.retrieval.sources.sitemap import SitemapSource
from santral.retrieval.sources.source import Source
from santral.retrieval.sources.surroundings import Surroundings


class SourceForm(Struct, frozen=True):
    """One kind. ``has_sidecars``: its files may speak of each other; it is listed twice then."""

    settings: type[SourceSettings]
    open: Callable[[Any, Surroundings], Source]
    about: str
    has_sidecars: bool = False


KINDS: Mapping[str, SourceForm] = {
    "folder": SourceForm(FolderSettings, FolderSource, "A folder of this machine.", True),
    "watch": SourceForm(
        FolderSettings, FolderSource, "A folder, taken in as soon as something changes.", True
    ),
    "url": SourceForm(UrlSettings, UrlSource, "Pages, one by one."),
    "sitemap": SourceForm(SitemapSettings, SitemapSource, "The pages that a site lists."),
    "s3": SourceForm(S3Settings, S3Source, "A bucket of S3 or MinIO.", True),
    "git": SourceForm(GitSettings, GitSource, "A branch of a repository.", True),
    "confluence": SourceForm(ConfluenceSettings, ConfluenceSource, "An exported Confluence space."),
    "notion": SourceForm(NotionSettings, NotionSource, "An exported Notion workspace."),
    "push": SourceForm(PushSettings, PushSource, "Documents that an application pushes."),
}


def form_of(kind: str) -> SourceForm:
    """Return one kind.

    Raises:
        BadRequest: there is none of that name; names the nearest.
    """
    if kind not in KINDS:
        raise BadRequest(
            f"There is no kind of source '{kind[:64]}'.{nearest(kind[:64], KINDS)} "
            f"Kinds: {', '.join(KINDS)}.",
            code="unknown_source_kind",
            param="kind",
        )
    return KINDS[kind]


def checked_settings(kind: str, given: Mapping[str, Any]) -> SourceSettings:
    """Return settings as a kind has them.

    Raises:
        BadRequest: no such kind, or a setting that it has not, lacks or cannot be; names it.
    """
    form = form_of(kind)
    try:
        return form.settings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "settings"
    hint = ""
    if first["type"] == "extra_forbidden":
        known = form.settings.model_fields
        hint = f"{nearest(place, known)} A source of kind {kind} has: {', '.join(known)}."
    raise BadRequest(f"settings.{place[:100]}: {first['msg']}.{hint}", param="settings")


def written(settings: SourceSettings) -> dict[str, Any]:
    """Return settings as the database keeps them: those that were given, secrets by reference."""
    return settings.model_dump(mode="json", exclude_defaults=True)


def reads_disk(settings: SourceSettings) -> bool:
    """Whether a source reads what lies on this machine."""
    if isinstance(settings, GitSettings):
        return "://" not in settings.url
    if isinstance(settings, ExportSettings):
        return bool(settings.path)
    return isinstance(settings, FolderSettings)


def addresses_of(settings: SourceSettings) -> list[str]:
    """Return the addresses that a source will ask first."""
    match settings:
        case UrlSettings():
            return list(settings.urls)
        case SitemapSettings():
            return [settings.url]
        case S3Settings():
            return [settings.endpoint] if settings.endpoint else []
        case GitSettings() | ExportSettings():
            return [settings.url] if "://" in settings.url else []
        case _:
            return []


def secrets_of(settings: SourceSettings) -> list[SecretRef]:
    """Return the secrets that settings name."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    return [value for value in values if isinstance(value, SecretRef)]


def place_of(kind: str, settings: Mapping[str, Any]) -> str:
    """Return where a source is, for people who read a list."""
    urls: list[str] = settings.get("urls", [])
    if urls:
        return urls[0] if len(urls) == 1 else f"{urls[0]} and {len(urls) - 1} more"
    if kind == "s3":
        return f"s3://{settings.get('bucket', '')}/{settings.get('prefix', '')}"
    return str(settings.get("url") or settings.get("path") or "")

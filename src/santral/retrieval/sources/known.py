"""What a source's settings say of its documents: which are taken, who may see them, whose they are."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase

from santral.retrieval.document import Attribute, Metadata
from santral.retrieval.sources.settings import SourceSettings


def is_taken(settings: SourceSettings, path: str) -> bool:
    """Whether the document at a path below the source is taken."""
    if settings.include and not any(fnmatchcase(path, pattern) for pattern in settings.include):
        return False
    return not any(fnmatchcase(path, pattern) for pattern in settings.exclude)


def metadata_of(
    settings: SourceSettings,
    path: str,
    *,
    url: str = "",
    owner: str = "",
    created_at: datetime | None = None,
    modified_at: datetime | None = None,
    attributes: dict[str, Attribute] | None = None,
) -> Metadata:
    """Return what is known of the document at a path; the settings come before what it says itself."""
    return Metadata(
        url=url,
        owner=settings.owner or owner,
        lifecycle=settings.lifecycle,
        created_at=created_at,
        modified_at=modified_at,
        allowed_groups=groups_of(settings, path),
        attributes={**(attributes or {}), **settings.attributes},
    )


def groups_of(settings: SourceSettings, path: str) -> tuple[str, ...]:
    """Return who may see the document at a path: what the longest fitting beginning says."""
    fitting = [prefix for prefix in settings.groups if path.startswith(prefix)]
    return tuple(settings.groups[max(fitting, key=len)]) if fitting else ()

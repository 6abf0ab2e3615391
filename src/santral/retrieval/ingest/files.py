"""Files to ingest: found by ``sources/files.py``, as folders of sources are."""

from santral.retrieval.sources.files import Found, FoundFile, find_files, is_below, require_known

__all__ = ["Found", "FoundFile", "find_files", "is_below", "require_known"]

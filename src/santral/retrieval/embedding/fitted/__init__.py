"""Vectors fitted to a collection: no key, no download, any language."""

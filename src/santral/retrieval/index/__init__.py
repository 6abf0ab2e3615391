"""The index: the searchable copy of one version of a collection, in one of several engines."""

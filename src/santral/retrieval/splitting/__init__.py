"""Splitting: a document becomes chunks, in one of several ways."""

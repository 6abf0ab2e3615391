"""Ingest: documents come in, change and go; the index follows."""

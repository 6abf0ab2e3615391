"""Dialects in: one file reads a protocol's requests, one writes its answers, whole and streamed."""

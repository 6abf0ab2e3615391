"""Drift: whether what is asked and answered now is still what it was, and which part of it moved."""

"""Lookup: stored traces in lists, one whole, counted over time, and what their attempts cost."""

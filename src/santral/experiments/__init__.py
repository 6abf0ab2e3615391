"""Experiments: live comparisons, and which variant a unit sees."""

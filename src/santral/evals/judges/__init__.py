"""Judges: evaluators that ask a model, and what makes their answers worth something."""

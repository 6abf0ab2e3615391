"""Evaluation: how good a collection's answers are, with numbers."""

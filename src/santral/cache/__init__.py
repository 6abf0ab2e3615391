"""Answers kept for equal requests of one tenant."""

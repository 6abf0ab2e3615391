"""Feedback: what the people who were answered say of the answer, and what they do with it."""

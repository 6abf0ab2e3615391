"""Readers: who was answered from a document, when, and in which request."""

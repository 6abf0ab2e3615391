"""Retrieval: documents become numbered passages that answer a question, one tenant at a time."""

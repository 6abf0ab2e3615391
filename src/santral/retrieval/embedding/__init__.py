"""Embeddings: what makes vectors of texts, and what was made before."""

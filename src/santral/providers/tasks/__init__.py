"""Embeddings, reranking, moderation and completions at providers."""

"""Reranking: the best candidates are looked at once more, by something that knows better."""

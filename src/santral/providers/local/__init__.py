"""What runs in this process: the extractive answerer, an embedder, a reranker."""

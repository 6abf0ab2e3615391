"""Citations: marks in an answer, and the places in documents that they stand for."""

"""An index in PostgreSQL with pgvector: documents, chunks, vectors and postings are tables there."""

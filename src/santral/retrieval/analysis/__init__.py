"""Analysis: what search sees of a text, the same for a document and for a question."""

"""The ingest of one index without versions, until searches use the other one."""

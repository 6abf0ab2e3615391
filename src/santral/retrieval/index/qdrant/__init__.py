"""An index in Qdrant: chunks are points there, with two sparse vectors and a dense one."""

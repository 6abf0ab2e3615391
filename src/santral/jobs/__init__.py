"""Background work: rows of a lease table, run by control processes, resumed after a kill."""

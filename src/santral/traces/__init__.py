"""What happened, what it cost, how good it was: records, spool, collector, store."""

"""Files and batches: many requests in one file, answered when there is room, billed once each."""

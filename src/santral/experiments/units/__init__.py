"""What each unit of an experiment did: sums over its requests, read from the traces."""

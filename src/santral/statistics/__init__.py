"""Statistics that decisions rest on: intervals, paired comparisons, agreement, sequences, drift."""

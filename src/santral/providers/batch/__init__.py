"""The providers' own batches, and calls that are collected for them."""

"""The embedded index: flat arrays in the data folder, mapped by every worker."""

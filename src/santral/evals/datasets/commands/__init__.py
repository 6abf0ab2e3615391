"""The commands on data sets, by what they are about."""

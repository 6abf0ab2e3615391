"""Compare the ledger with what a provider says was used, day by day and model by model."""

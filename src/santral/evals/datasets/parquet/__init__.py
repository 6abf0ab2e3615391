"""Files of Parquet, by way of DuckDB."""

"""The control database: connection, transactions, tables and migrations for SQLite and PostgreSQL."""

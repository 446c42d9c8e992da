"""Databases: a window of a table, view or materialised view, read by one exact SQL text per split."""

from headgate.sources.sql.postgres import PostgresSource
from headgate.sources.sql.sqlite import SqliteSource

__all__ = ["PostgresSource", "SqliteSource"]

"""Local files as a source: delimited text, JSON and Parquet, picked by their last-modified time."""

from headgate.sources.files.local import LocalFiles

__all__ = ["LocalFiles"]

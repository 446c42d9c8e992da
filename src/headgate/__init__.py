"""Headgate: a self-hosted flow service."""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""Drivers' libraries, which are extras: a source says which one it lacks when it connects, and not before."""

from importlib import import_module
from typing import Any

from headgate.errors import MissingExtra

__all__ = ["library", "needed"]


def library(name: str) -> Any:
    """The module `name`, None when it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def needed(found: Any, system: str, package: str, extra: str) -> Any:
    """What `library()` found. Raises MissingExtra when that is nothing."""
    if found is None:
        raise MissingExtra(f"{system} needs {package}, which is not installed: pip install 'headgate[{extra}]'.")
    return found

"""Drivers' libraries, which are extras.

A connection can be made without them. That one is lacking is said when the source is used: tested, explored, run.
"""

from importlib import import_module
from typing import Any

from headgate.errors import MissingExtra

__all__ = ["lacking", "library", "needed"]


def library(name: str) -> Any:
    """The module `name`, None when it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def needed(found: Any, system: str, package: str, extra: str) -> Any:
    """What `library()` found. Raises MissingExtra when that is nothing."""
    if found is None:
        raise lacking(system, package, extra)
    return found


def lacking(system: str, package: str, extra: str) -> MissingExtra:
    """The error that says what a system's source lacks, and how to have it."""
    return MissingExtra(f"{system} needs {package}, which is not installed. Run: pip install 'headgate[{extra}]'")

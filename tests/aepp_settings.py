"""The client `aepp` keeps its settings in its modules; here they are put back, so that no test meets another's."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import aepp

__all__ = ["own_settings"]


@contextmanager
def own_settings() -> Iterator[None]:
    """Whatever is configured meanwhile is forgotten in the end."""
    held = (aepp.config.config_object, aepp.config.endpoints, aepp.config.header)
    kept = [(each, copy.deepcopy(each)) for each in held]
    try:
        yield
    finally:
        for each, before in kept:
            each.clear()
            each.update(before)

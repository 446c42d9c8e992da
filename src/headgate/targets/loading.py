"""Loading PyIceberg when it is first needed, whole and by one thread."""

import threading
from importlib import import_module

__all__ = ["load_iceberg"]

_loading = threading.Lock()


def load_iceberg() -> None:
    """Have PyIceberg loaded when this returns. Call it before a module is imported that imports PyIceberg.

    Its modules import one another in circles: two threads that begin with different ones would each find half of it.
    """
    with _loading:
        import_module("pyiceberg.catalog.sql")

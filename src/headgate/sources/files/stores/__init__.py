"""Where files can be: a module per kind of store, all behind one protocol."""

from headgate.sources.files.stores.interface import Listed, Store

__all__ = ["Listed", "Store"]

"""Programs that are run as connectors: a script that does as it is told, and real ones of the package index."""

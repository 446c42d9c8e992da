"""The command line. Commands are imported when they are run, so that `--help` answers at once."""

from headgate.cli.commands import main

__all__ = ["main"]

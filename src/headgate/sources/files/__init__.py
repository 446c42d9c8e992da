"""Files: those whose last-modified time lies in the window, from any store, read by DuckDB on this machine."""

from collections.abc import Mapping
from typing import Any

from headgate.sources.context import Context
from headgate.sources.files.copies import Scratch
from headgate.sources.files.source import Files
from headgate.sources.files.stores.local import LocalStore

__all__ = ["Files", "Scratch", "open_ftp", "open_hdfs", "open_local_files", "open_sftp", "open_smb"]


def open_local_files(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `local-files`."""
    return Files(LocalStore(auth_params, context.roots), Scratch.of(context.settings))


def open_ftp(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `ftp`."""
    from headgate.sources.files.stores.ftp import ftp

    return Files(ftp(auth_params, context.outbound), Scratch.of(context.settings))


def open_hdfs(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `hdfs`."""
    from headgate.sources.files.stores.hdfs import hdfs

    return Files(hdfs(auth_params, context.outbound), Scratch.of(context.settings))


def open_sftp(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `sftp`. Raises MissingExtra."""
    from headgate.sources.files.stores.sftp import sftp

    return Files(sftp(auth_params, context.outbound), Scratch.of(context.settings))


def open_smb(auth_params: Mapping[str, Any], context: Context) -> Files:
    """The source of the spec `azure-file-storage`. Raises MissingExtra."""
    from headgate.sources.files.stores.smb import smb

    return Files(smb(auth_params, context.outbound), Scratch.of(context.settings))

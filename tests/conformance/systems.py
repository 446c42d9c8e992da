"""Every system with a kit, by the name of its connection spec, started for somebody who is not pytest."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from headgate.testing.source_suite import FileKit, TableKit
from tests.conformance.kits import (
    AlchemyKit,
    BucketKit,
    DuckdbKit,
    FolderKit,
    MariadbKit,
    OdbcKit,
    PostgresKit,
    ServerKit,
    ShareKit,
    SqliteKit,
    ZoneKit,
)
from tests.conftest import running_server
from tests.emulators import azurite, blob_container, moto, s3_bucket
from tests.file_servers import ftp_server, sftp_server, smb_server
from tests.mariadb import running_mariadb

__all__ = ["SYSTEMS"]


def _postgres(kit: type[PostgresKit]) -> Callable[[Path, ExitStack], TableKit]:
    return lambda folder, stack: kit(str(stack.enter_context(running_server()).get_uri()), folder)


def _sftp(folder: Path, stack: ExitStack) -> FileKit:
    return ServerKit("sftp", stack.enter_context(sftp_server(FolderKit(folder).root)).port, folder)


def _ftp(folder: Path, stack: ExitStack) -> FileKit:
    return ServerKit("ftp", stack.enter_context(ftp_server(FolderKit(folder).root)).port, folder)


def _share(folder: Path, stack: ExitStack) -> FileKit:
    return ShareKit(stack.enter_context(smb_server(FolderKit(folder).root, folder)).port, folder)


def _amazon(folder: Path, stack: ExitStack) -> FileKit:
    return BucketKit("amazon-s3", s3_bucket(stack.enter_context(moto()), "bench"), "bucketName", folder)


def _azure(folder: Path, stack: ExitStack) -> FileKit:
    return BucketKit("azure-blob", blob_container(stack.enter_context(azurite()), "bench"), "container", folder)


SYSTEMS: dict[str, Callable[[Path, ExitStack], TableKit | FileKit]] = {
    "postgresql": _postgres(PostgresKit),
    "sqlalchemy": _postgres(AlchemyKit),
    "odbc": _postgres(OdbcKit),
    "mariadb": lambda folder, stack: MariadbKit(stack.enter_context(running_mariadb()), folder),
    "sqlite": lambda folder, _: SqliteKit(folder),
    "duckdb": lambda folder, _: DuckdbKit(folder),
    "local-files": lambda folder, _: FolderKit(folder),
    "landing-zone": lambda folder, _: ZoneKit(folder),
    "sftp": _sftp,
    "ftp": _ftp,
    "azure-file-storage": _share,
    "amazon-s3": _amazon,
    "azure-blob": _azure,
}

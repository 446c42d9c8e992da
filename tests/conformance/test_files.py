"""Stores of files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.source_suite import FileKit, FileSuite
from tests.conformance.kits import BucketKit, FolderKit, ServerKit, ShareKit, ZoneKit
from tests.emulators import blob_container, s3_bucket
from tests.file_servers import ftp_server, sftp_server, smb_server


class TestLocalFiles(FileSuite):
    spec = "local-files"

    @pytest.fixture
    def kit(self, tmp_path: Path) -> FileKit:
        return FolderKit(tmp_path)


class TestLandingZone(FileSuite):
    spec = "landing-zone"

    @pytest.fixture
    def kit(self, tmp_path: Path) -> FileKit:
        return ZoneKit(tmp_path)


class TestSftp(FileSuite):
    spec = "sftp"

    @pytest.fixture
    def kit(self, tmp_path: Path) -> Iterator[FileKit]:
        with sftp_server(FolderKit(tmp_path).root) as running:
            yield ServerKit("sftp", running.port, tmp_path)


class TestFtp(FileSuite):
    spec = "ftp"

    @pytest.fixture
    def kit(self, tmp_path: Path) -> Iterator[FileKit]:
        with ftp_server(FolderKit(tmp_path).root) as running:
            yield ServerKit("ftp", running.port, tmp_path)


class TestAmazonS3(FileSuite):
    spec = "amazon-s3"

    @pytest.fixture
    def kit(self, s3_address: str, tmp_path: Path) -> FileKit:
        return BucketKit(self.spec, s3_bucket(s3_address, f"b{os.urandom(6).hex()}"), "bucketName", tmp_path)


class TestAzureBlob(FileSuite):
    spec = "azure-blob"

    @pytest.fixture
    def kit(self, azure_address: str, tmp_path: Path) -> FileKit:
        return BucketKit(self.spec, blob_container(azure_address, f"b{os.urandom(6).hex()}"), "container", tmp_path)


class TestAzureFiles(FileSuite):
    """By Samba: any share of SMB 3 is read alike."""

    spec = "azure-file-storage"
    names = ("with space.csv", "ünï 🚪.csv", "a#bc%20d&e+f=g.csv", "it's [1] (2).csv", "UP.CSV")

    @pytest.fixture
    def kit(self, tmp_path: Path) -> Iterator[FileKit]:
        with smb_server(FolderKit(tmp_path).root, tmp_path) as running:
            yield ShareKit(running.port, tmp_path)

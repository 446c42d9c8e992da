"""HDFS through WebHDFS, against the interface that its documentation shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HostNotAllowed,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.outbound import Outbound
from headgate.sources import Source
from headgate.sources.files.stores.hdfs import hdfs
from headgate.testing.source_suite import FileKit, FileSuite
from tests.conformance.kits import FolderKit, opened, unused_port
from tests.hadoop import Cluster, cluster


class _Kit(FolderKit):
    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(folder)
        self._url = url

    def open(self) -> Source:
        return opened("hdfs", {"url": self._url}, self._folder)

    def broken(self) -> Source:
        return opened("hdfs", {"url": f"http://127.0.0.1:{unused_port()}"}, self._folder)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(FolderKit(tmp_path).root) as found:
        yield found


class TestHdfs(FileSuite):
    @pytest.fixture
    def kit(self, running: Cluster, tmp_path: Path) -> FileKit:
        return _Kit(running.url, tmp_path)


def _outbound(tmp_path: Path, **settings: object) -> Outbound:
    return Outbound(Settings(data=tmp_path / "data", **settings), shared=False)  # type: ignore[arg-type]


def test_what_it_refuses_is_told(running: Cluster, tmp_path: Path) -> None:
    root = tmp_path / "files"
    (root / "secret").mkdir()
    (root / "secret" / "a.csv").write_text("n\n1\n")
    store = hdfs({"url": f"{running.url}/webhdfs/v1/"}, _outbound(tmp_path))
    with pytest.raises(SourceAccessDenied, match=r"Permission denied: user=dr\.who"):
        store.pin(store.address("secret/a.csv"))
    with pytest.raises(SourceObjectMissing, match="nowhere"):
        store.pin(store.address("nowhere"))
    known = hdfs({"url": running.url, "userName": "reader", "folderPath": "secret"}, _outbound(tmp_path))
    pinned = known.pin(known.address("a.csv"))
    assert pinned is not None
    assert b"".join(known.read(pinned)) == b"n\n1\n"
    assert b"".join(known.read(pinned, 2, 1)) == b"1"
    assert any("user.name=reader" in asked and "offset=2&length=1" in asked for asked in running.asked)
    running.standby = True
    with pytest.raises(SourceUnreachable, match="standby"):
        store.check()
    for url in ("hdfs://namenode:8020", "http://host/elsewhere", "namenode"):
        with pytest.raises(BadParameter, match="http://namenode:9870"):
            hdfs({"url": url}, _outbound(tmp_path))


def test_a_name_node_leads_only_where_connections_may_reach(running: Cluster, tmp_path: Path) -> None:
    (tmp_path / "files" / "a.csv").write_text("n\n1\n")
    only = running.url.removeprefix("http://")
    store = hdfs({"url": running.url}, _outbound(tmp_path, allowed_hosts=only))
    pinned = store.pin(store.address("a.csv"))
    assert pinned is not None
    with pytest.raises(HostNotAllowed):  # the data node has another port
        list(store.read(pinned))


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'{"FileStatus":1}', b"[" * 100_000], ids=["list", "null", "1", "deep"]
)
def test_an_answer_that_is_none_of_webhdfs_is_told(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr("tests.hadoop.json.dumps", lambda _: body.decode())
    store = hdfs({"url": running.url}, _outbound(tmp_path))
    with pytest.raises(SourceError, match="none of WebHDFS"):
        store.check()

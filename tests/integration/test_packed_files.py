"""Packed files, archives and other encodings: the same rows as of the plain file, or the run says what is wrong."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.errors import (
    BadParameter,
    DetectionFailed,
    DetectionUnsupported,
    HeadgateError,
    SourceError,
    SourceObjectMissing,
    UnreadableRecord,
)
from headgate.model.lake import SOURCE_FILE
from headgate.rejects import Rejects
from headgate.sources.files import Files, Scratch, packing, sift, source
from headgate.sources.files.archives import zip_members
from headgate.sources.files.delimited import Dialect
from headgate.sources.files.packing import Packing, inflated
from headgate.sources.interface import Selection
from tests.local_files import ALWAYS, Elsewhere, land, local_files

ROWS = [(number, f'text "{number}", é\n😀', number / 4) for number in range(2000)]
TEXT = "id,note,share\n" + "".join(
    f'{number},"{note.replace(chr(34), chr(34) * 2)}",{share}\n' for number, note, share in ROWS
)
CONTENT = TEXT.encode()


def called(name: str) -> str:
    """`in__a_csv` is in/a.csv; what is no identifier stays."""
    return name.replace("__", "/").replace("_", ".") if name.isidentifier() else name


def zipped(method: int = zipfile.ZIP_DEFLATED, /, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(called(name), content)
    return buffer.getvalue()


def tarred(form: int = tarfile.PAX_FORMAT, /, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(called(name))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


ABSOLUTE = "/tmp/headgate-absolute.csv"  # noqa: S108 - must never be there
HALVES = CONTENT[: CONTENT.index(b"\n1000,") + 1], b"id,note,share\n" + CONTENT[CONTENT.index(b"\n1000,") + 1 :]
PACKED: dict[str, tuple[str, bytes, str]] = {  # what it is: its name, its content, what a source connection says
    "plain": ("x.csv", CONTENT, ""),
    "gzip": ("x.csv.gz", gzip.compress(CONTENT), "gzip"),
    "gzip, streams": ("x.csv.gz", gzip.compress(CONTENT[:999]) + gzip.compress(CONTENT[999:]), "gzip"),
    "bzip2": ("x.csv.bz2", bz2.compress(CONTENT), "bzip2"),
    "bzip2, streams": ("x.csv.bz2", bz2.compress(CONTENT[:999]) + bz2.compress(CONTENT[999:]), "bzip2"),
    "deflate": ("x.csv.deflate", raw_deflate(CONTENT), "deflate"),
    "deflate of zlib": ("x.csv.deflate", zlib.compress(CONTENT), "deflate"),
    "zstd": ("x.csv.zst", zstandard.compress(CONTENT), "zstd"),
    "zstd, streams": ("x.csv.zst", zstandard.compress(CONTENT[:999]) + zstandard.compress(CONTENT[999:]), "zstd"),
    "xz": ("x.csv.xz", lzma.compress(CONTENT), "xz"),
    "zip": ("x.zip", zipped(a_csv=HALVES[0], in__b_csv=HALVES[1]), "zipDeflate"),
    "zip, stored": ("x.zip", zipped(zipfile.ZIP_STORED, a_csv=CONTENT), "zipDeflate"),
    "zip, bzip2": ("x.zip", zipped(zipfile.ZIP_BZIP2, a_csv=CONTENT), "zipDeflate"),
    "zip of packed": (
        "x.zip",
        zipped(a_csv_gz=gzip.compress(HALVES[0]), b_csv_bz2=bz2.compress(HALVES[1])),
        "zipDeflate",
    ),
    "tar": ("x.tar", tarred(z_csv=HALVES[0], in__b_csv=HALVES[1]), "tar"),
    "tar of GNU": ("x.tar", tarred(tarfile.GNU_FORMAT, **{"n" * 200 + "_csv": CONTENT}), "tar"),
    "tar, old": ("x.tar", tarred(tarfile.USTAR_FORMAT, a_csv=CONTENT), "tar"),
    "tar of packed": ("x.tar", tarred(a_csv_zst=zstandard.compress(CONTENT)), "tar"),
    "tar in gzip": ("x.tar.gz", gzip.compress(tarred(a_csv=HALVES[0], b_csv=HALVES[1])), "tarGzip"),
    "tgz": ("x.tgz", gzip.compress(tarred(a_csv=CONTENT)), "tarGzip"),
}
PARAMETERS = pytest.mark.parametrize(("name", "content", "word"), PACKED.values(), ids=PACKED)


def folder(path: Path, name: str, content: bytes) -> Path:
    path.mkdir(exist_ok=True)
    (path / name).write_bytes(content)
    return path


@PARAMETERS
def test_the_same_rows_from_every_packing(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    """By its name, by what is declared, wherever it is, and found by itself; its first rows too."""
    root = folder(tmp_path / "in", name, content)
    landed = land(root)
    assert landed.multiset == Counter(ROWS)
    assert {row[SOURCE_FILE].partition("!/")[0] for row in landed.rows} == {str(root / name)}
    data = {"format": "delimited", "properties": {"compressionType": word or "none"}}
    assert land(folder(tmp_path / "unnamed", "x", content), data=data).multiset == Counter(ROWS)
    for files in (local_files(root), elsewhere(root)):
        found = {"format": "delimited", "columnDelimiter": ",", "encoding": "UTF-8"}
        found |= {"compressionType": word} if word else {}
        if content[8:9] != b"\x0c":  # bzip2 in a zip, which the beginning does not show
            assert files.detect(name) == found
        shown = files.preview(Selection({"path": name}, found), 100)
        assert [column.name for column in shown.columns] == ["id", "note", "share"]
        assert set(shown.rows) <= {*ROWS}
        assert len(shown.rows) == 100


def noted(root: Path, path: str) -> tuple[str, ...]:
    """What a run's record says of a selection."""
    selection = Selection({"path": path}, {"format": "delimited"})
    with local_files(root).plan(selection, ALWAYS, None, parallel=1) as reading:
        return reading.notes


def test_members_have_their_own_names_and_are_read_by_them(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "x.zip", zipped(b_csv=b"a\n2\n", in__a_csv=b"a\n1\n", in__a_txt=b"other\n5\n"))
    folder(root, "y.tar", tarred(**{"in/a.csv": b"a\n3\n", ".a.csv": b"a\n9\n", "__MACOSX/a.csv": b"a\n9\n"}))
    landed = land(root, "x.zip!/*.csv")
    assert [(row["a"], row[SOURCE_FILE]) for row in sorted(landed.rows, key=lambda row: row["a"])] == [
        (1, f"{root}/x.zip!/in/a.csv"),
        (2, f"{root}/x.zip!/b.csv"),
    ]
    assert land(root, "x.zip!/in/*.csv").data == [(1,)]
    assert land(root, "*.tar!/in/*").data == [(3,)]
    assert land(root, "y.tar").data == [(3,)]
    assert land(root, "x.zip!/*.orc").rows == []
    assert noted(root, "x.zip!/*.orc") == (f"{root}/x.zip holds no file that '*.orc' matches.",)
    assert noted(root, "*.7z") == ("The path '*.7z' selects no file, whenever it was modified.",)
    assert noted(root, "x.zip!/in/*.csv") == ()
    folder(root, "z.zip", zipped(**{"a[1].csv": b"a\n4\n", "a1.csv": b"a\n5\n"}))
    assert (4,) in land(root, "z.zip!/a[1].csv").data
    with pytest.raises(SourceObjectMissing, match=r"x\.zip holds no in/b\.csv"):
        land(root, "x.zip!/in/b.csv")
    with pytest.raises(UnreadableRecord, match=r"!/in/a\.txt has the column 'other', which .*!/b\.csv lacks"):
        land(root, "x.zip")
    assert local_files(root).preview(Selection({"path": "x.zip!/in/a.csv"}, {"format": "delimited"}), 5).rows == ((1,),)


def test_a_folder_that_only_looks_like_an_archive(tmp_path: Path) -> None:
    folder(tmp_path / "in", "x", b"")
    folder(tmp_path / "in" / "important!", "x.csv", b"a\n1\n")
    assert land(tmp_path / "in", "important!/x.csv").data == [(1,)]


def evil_tar(**about: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("x.csv")
        for name, value in about.items():
            setattr(entry, name, value)
        archive.addfile(entry)
        good = tarfile.TarInfo("good.csv")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"a\n1\n"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "entry",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.SYMTYPE, "linkname": "good.csv"},
        {"type": tarfile.LNKTYPE, "linkname": "good.csv"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.DIRTYPE, "name": "../../up"},
    ],
)
def test_what_is_no_file_in_a_tar_is_passed_over(tmp_path: Path, entry: dict[str, Any]) -> None:
    assert land(folder(tmp_path / "in", "x.tar", evil_tar(**entry))).data == [(1,)]


@pytest.mark.parametrize("name", ["../../up.csv", ABSOLUTE, "a/../../b.csv", "./c.csv", "d\\e.csv"])
def test_names_in_archives_are_never_written_to(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "a\n1\n")
    tar = tarfile.TarInfo(name)
    tar.size = 4
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w") as packed:
        packed.addfile(tar, io.BytesIO(b"a\n1\n"))
    root = folder(folder(tmp_path / "in", "x.zip", buffer.getvalue()), "x.tar", other.getvalue())
    before = {*tmp_path.rglob("*")}
    assert land(root).data == [(1,), (1,)]
    assert {*tmp_path.rglob("*")} - before <= {tmp_path / "scratch"}
    assert not Path(ABSOLUTE).exists()


def many(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.csv", "")
    return buffer.getvalue()


def twice() -> bytes:
    """A zip with one name twice: that of the second is changed afterwards."""
    return zipped(a_csv=b"a\n1\n", b_csv=b"a\n2\n").replace(b"b.csv", b"a.csv")


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def locked(method: int) -> bytes:
    content = bytearray(zipped(a_csv=b"a\n1\n"))
    at = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[at + 8] |= 1
    content[8] = content[at + 10] = method
    return bytes(content)


NOISE = random.Random(5).randbytes(50_000)
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "gzip, cut off": ("x.gz", lambda: gzip.compress(CONTENT)[:-9], "is not a complete gzip file"),
    "gzip, wrong sum": ("x.gz", lambda: flipped(gzip.compress(CONTENT), -6), "is not a complete gzip file"),
    "gzip, more behind": ("x.gz", lambda: gzip.compress(CONTENT) + b"junk", "is not a complete gzip file"),
    "bzip2, cut off": ("x.bz2", lambda: bz2.compress(CONTENT)[:-9], "is not a complete bzip2 file"),
    "bzip2, damaged": ("x.bz2", lambda: flipped(bz2.compress(CONTENT), 99), "is not a complete bzip2 file"),
    "bzip2, more behind": ("x.bz2", lambda: bz2.compress(CONTENT) + b"junk", "is not a complete bzip2 file"),
    "deflate, cut off": ("x.deflate", lambda: raw_deflate(CONTENT)[:-9], "is not a complete deflate file"),
    "zstd, cut off": ("x.zst", lambda: zstandard.compress(CONTENT)[:-9], "is not a complete zstd file"),
    "zstd, more behind": ("x.zst", lambda: zstandard.compress(CONTENT) + b"junk", "is not a complete zstd file"),
    "zstd, window of 2 GiB": ("x.zst", lambda: bytes.fromhex("28b52ffd00a8"), "is not a complete zstd file"),
    "xz, cut off": ("x.xz", lambda: lzma.compress(CONTENT)[:-9], "is not a complete xz file"),
    "zip, cut off": ("x.zip", lambda: zipped(a_csv=CONTENT)[:-30], "is not a complete zip file"),
    "zip, damaged": ("x.zip", lambda: flipped(zipped(zipfile.ZIP_STORED, a_csv=NOISE), 99), "Bad CRC-32"),
    "zip, encrypted": ("x.zip", lambda: locked(8), r"a\.csv is encrypted with a password"),
    "zip, encrypted by AES": ("x.zip", lambda: locked(99), r"a\.csv is encrypted with a password"),
    "zip in zip": ("x.zip", lambda: zipped(a_zip=zipped(a_csv=b"a\n1\n")), r"x\.zip!/a\.zip is an archive in an arch"),
    "tar in zip": ("x.zip", lambda: zipped(a_tgz=b""), r"x\.zip!/a\.tgz is an archive in an archive"),
    "zip, one name twice": ("x.zip", twice, r"holds a\.csv twice"),
    "zip, too many": ("x.zip", lambda: many(10_001), "holds more than 10000 files"),
    "packed in zip, cut off": (
        "x.zip",
        lambda: zipped(a_csv_gz=gzip.compress(CONTENT)[:-9]),
        r"!/a\.csv\.gz is not",
    ),
    "tar, cut off": ("x.tar", lambda: tarred(a_csv=CONTENT)[:5000], "is not a complete tar file"),
    "tar, no end": ("x.tar", lambda: tarred(a_csv=b"1" * 512)[:1024], "is not a complete tar file"),
    "tar, damaged further on": (
        "x.tar",
        lambda: flipped(tarred(a_csv=b"a\n1\n", b_csv=b"a\n2\n"), 1024 + 150),
        "is not a complete tar file",
    ),
    "tar, header of 1 GB": ("x.tar", lambda: evil_tar(type=b"x", size=1 << 30), "is not a complete tar file"),
    "tar, a header of a header of a header": (
        "x.tar",
        lambda: evil_tar(type=b"x")[:512] * 2000,
        "its headers never end",
    ),
    "tar in gzip, cut off": ("x.tgz", lambda: gzip.compress(tarred(a_csv=NOISE))[:-9], "is not a complete"),
    "tar in gzip, damaged": (
        "x.tgz",
        lambda: flipped(gzip.compress(tarred(a_csv=b"a\n")), -6),
        "is not a complete",
    ),
    "not packed": ("x.bz2", lambda: CONTENT, "is not a complete bzip2 file"),
    "packed twice": ("x.csv.gz", lambda: gzip.compress(gzip.compress(CONTENT)), "it is packed with gzip"),
    "7z": ("x.csv", lambda: b"7z\xbc\xaf\x27\x1c\0\4" + NOISE, "it is a 7z archive"),
    "OpenPGP": ("x.csv", lambda: bytes.fromhex("8c0d040903025047a6acf302fa78ffd2"), r"it is encrypted \(OpenPGP\)"),
    "OpenPGP, in zip": ("x.zip", lambda: zipped(a_csv=b"-----BEGIN PGP MESSAGE-----\n"), r"x\.zip!/a\.csv is not read"),
    "age": ("x.csv", lambda: b"age-encryption.org/v1\n-> X25519", r"it is encrypted \(age\)"),
    "openssl": ("x.csv", lambda: b"Salted__\x00\x01\x02\x03\x04\x05\x06\x07", r"it is encrypted \(openssl enc\)"),
}


@pytest.mark.parametrize(("name", "make", "says"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, name: str, make: Callable[[], bytes], says: str
) -> None:
    root = folder(folder(tmp_path / "in", name, make()), "good.csv", CONTENT)
    for rejecting in (False, True):
        with pytest.raises(UnreadableRecord, match=rf"{name}.*{says}|{says}.*{name}|{says}") as told:
            planned(local_files(root), rejecting=rejecting)
        assert name in told.value.detail
        assert "scratch" not in told.value.detail
    assert not [*(tmp_path / "scratch").glob("*/*")]


def elsewhere(root: Path) -> Files:
    return Files(Elsewhere(root), Scratch(root.with_name("scratch"), 10**9))


def planned(files: Files, path: str = ".", *, rejecting: bool = False, **data: Any) -> list[Any]:
    selection = Selection({"path": path}, {"format": "delimited", **data}, rejecting=rejecting)
    with files.plan(selection, ALWAYS, None, parallel=1) as reading:
        return [*reading.splits]


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        ("x.gz", lambda zeros: gzip.compress(zeros)),
        ("x.bz2", lambda zeros: bz2.compress(zeros)),
        ("x.zst", lambda zeros: zstandard.compress(zeros)),
        ("x.xz", lambda zeros: lzma.compress(zeros)),
        ("x.zip", lambda zeros: zipped(a_csv=zeros)),
        ("x.zip", lambda zeros: zipped(a_csv_gz=gzip.compress(zeros))),
        ("x.tgz", lambda zeros: gzip.compress(tarred(a_csv=zeros))),
        ("x.tgz", lambda zeros: gzip.compress(tarred(_hidden=zeros))),
    ],
)
def test_bombs_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, bomb: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(packing, "_MOST_BYTES", 1 << 20)
    root = folder(tmp_path / "in", name, bomb(b"a\n" + bytes(30 << 20)))
    with pytest.raises(SourceError, match=rf"{name} has \d+ bytes and unpacks to more than \d+; the limit is 200"):
        land(root)


def test_a_sparse_file_in_a_tar_counts_as_what_it_unpacks_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_MOST_BYTES", 1 << 20)
    entry = tarfile.TarInfo("x.csv")
    entry.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(1 << 40)}
    entry.pax_headers |= {"GNU.sparse.map": "0,4", "GNU.sparse.name": "x.csv"}
    entry.size = 4
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(b"a\n1\n"))
    with pytest.raises(UnreadableRecord, match=r"x\.tar has \d+ bytes and unpacks to more than"):
        land(folder(tmp_path / "in", "x.tar", buffer.getvalue()))


def test_copies_take_no_more_than_they_may(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "x.bz2", bz2.compress(b"a\n" + b"1\n" * 100_000))
    files = Files(Elsewhere(root), Scratch(tmp_path / "scratch", 100_000))
    with pytest.raises(SourceError, match=r"x\.bz2: the copies .* take more than 100000 bytes"):
        planned(files)
    assert not [*(tmp_path / "scratch").glob("*/*")]


def test_unpacking_can_be_broken_off(tmp_path: Path) -> None:
    """It would take far longer than the second that it is given."""
    root = folder(tmp_path / "in", "x.bz2", bz2.compress(b"a\n") + bz2.compress(bytes(1 << 20)) * 1000)
    started, breaks = threading.Event(), list[Callable[[], None]]()

    class Breaking:
        def __init__(self, break_off: Callable[[], None]) -> None:
            breaks.append(break_off)
            started.set()

        def __enter__(self) -> None: ...

        def __exit__(self, *about: object) -> None: ...

    def stop() -> None:
        assert started.wait(10)
        time.sleep(0.1)
        for each in breaks:
            each()

    stopping = threading.Thread(target=stop)
    stopping.start()
    selection = Selection({"path": "x.bz2"}, {"format": "delimited"})
    with (
        pytest.raises(SourceError, match="broken off"),
        local_files(root).plan(selection, ALWAYS, None, parallel=1, breaking=Breaking),
    ):
        raise AssertionError("it was read to its end")
    stopping.join()


def test_a_packed_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "x.zip", zipped(a_csv=b"a\n1\n"))
    files = local_files(root)
    with files.plan(Selection({"path": "."}, {"format": "delimited"}), ALWAYS, None, parallel=1) as reading:
        [split] = reading.splits
        files.verify(split)
        (root / "x.zip").write_bytes(zipped(a_csv=b"a\n1\n2\n"))
        with pytest.raises(SourceError, match=r"x\.zip changed while it was being read"):
            files.verify(split)


def test_bad_records_of_packed_files_come_with_their_lines(tmp_path: Path) -> None:
    """In a tar, packed, in UTF-16: still the line of the text that a person would see."""
    bad = "a,b\n1,x\n2\n3,y\n".encode("utf-16-le") + b"4\0,\0\x00\xd8\n\0" + "5,z\n6,\n".encode("utf-16-le")
    root = folder(tmp_path / "in", "x.tar", tarred(in__x_csv_gz=gzip.compress(b"\xff\xfe" + bad)))
    files = local_files(root)
    selection = Selection({"path": "."}, {"format": "delimited", "encoding": "utf-16"}, rejecting=True)
    rejects = Rejects()
    with files.plan(selection, ALWAYS, None, parallel=1) as reading:
        [split] = reading.splits
        files.account(split, rejects)
    assert [(reject.line, reject.file) for reject in rejects.kept] == [
        (3, f"{root}/x.tar!/in/x.csv.gz"),
        (5, f"{root}/x.tar!/in/x.csv.gz"),
    ]
    assert rejects.kept[1].message == "The text is not in the encoding of the file."
    with pytest.raises(UnreadableRecord, match=r"x\.csv\.gz, line 5: the text is not UTF-16"):
        planned(local_files(root), encoding="utf-16")


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("UTF-8", b"\xef\xbb\xbf" + CONTENT),
        ("UTF-16", TEXT.encode("utf-16")),
        ("UTF-16", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("utf-16", TEXT.encode("utf-16-be")),
        ("utf-16", TEXT.encode("utf-16-le")),
        ("UTF-16LE", TEXT.encode("utf-16-le")),
        ("UTF-16BE", TEXT.encode("utf-16-be")),
        ("utf-16-be", b"\xfe\xff" + TEXT.encode("utf-16-be")),
    ],
)
def test_the_same_rows_from_every_encoding(tmp_path: Path, encoding: str, content: bytes) -> None:
    root = folder(folder(tmp_path / "in", "x.csv", content), "y.csv.gz", gzip.compress(content))
    assert land(root, data={"encoding": encoding}).multiset == Counter(ROWS * 2)
    shown = local_files(root).preview(Selection({"path": "x.csv"}, {"format": "delimited", "encoding": encoding}), 10)
    assert shown.rows == tuple(ROWS[:10])
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        assert local_files(root).detect("x.csv")["encoding"] == "UTF-16"


@pytest.mark.parametrize(
    ("encoding", "content", "says"),
    [
        ("UTF-16", "ab\n".encode("utf-16-le")[:5], r"x\.csv, line 1: the text is not UTF-16"),
        ("UTF-16LE", "a\nb\n".encode("utf-16-le") + b"\x00\xdca\0", r"x\.csv, line 3: the text is not UTF-16"),
        ("UTF-16BE", TEXT.encode("utf-16"), "has the byte order mark of utf-16-le, where utf-16-be is declared"),
        ("UTF-16", "…a\n".encode("utf-16-le"), "has no byte order mark"),
        ("ISO-8859-1", b"a\n1\n\x80\n", r"x\.csv, line 3: the text is not ISO-8859-1"),
    ],
)
def test_text_that_is_none_is_refused_by_line(tmp_path: Path, encoding: str, content: bytes, says: str) -> None:
    with pytest.raises(UnreadableRecord, match=says):
        land(folder(tmp_path / "in", "x.csv", content), data={"encoding": encoding})


def test_controls_where_windows_has_letters_are_bad_records(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "x.csv", b"a\n\xe9\n\x80\nx\n")
    files, rejects = local_files(root), Rejects()
    selection = Selection({"path": "."}, {"format": "delimited", "encoding": "ISO-8859-1"}, rejecting=True)
    with files.plan(selection, ALWAYS, None, parallel=1) as reading:
        files.account(reading.splits[0], rejects)
    assert [reject.line for reject in rejects.kept] == [3]


PARTS = st.sampled_from(
    ["1,2\n"] * 6 + ["1\n", '"', '"a,b",c\n', "\n", ",,\n", "x,\n", "\udc80,1\n", "1,2\r\n", "3", "é,2\n"]
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(PARTS, max_size=30), block=st.sampled_from([1, 3, 64]))
def test_records_that_are_sifted_together_are_those_that_are_sifted_one_by_one(parts: list[str], block: int) -> None:
    lines = "".join(["a,b\n", *parts]).splitlines(keepends=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sift, "_BLOCK", block)
        together = [*sift.delimited_pieces(iter(lines), Dialect())]
    apart = [*sift.delimited_pieces(iter(lines), Dialect(), each=True)]
    assert "".join(piece.text for piece in together if not piece.fault) == "".join(
        piece.text for piece in apart if not piece.fault
    )
    assert [piece for piece in together if piece.fault] == [piece for piece in apart if piece.fault]
    assert {piece.line for piece in together} <= {piece.line for piece in apart}


CELLS = st.text(st.characters(codec="utf-16", exclude_characters="\0"), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
    delimiter=st.sampled_from(",\t;|§€"),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be"]),
    pack=st.sampled_from([bytes, gzip.compress, bz2.compress, zstandard.compress, raw_deflate]),
    piece=st.integers(1, 7),
)
def test_any_text_in_any_encoding_and_packing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str, str]],
    delimiter: str,
    encoding: str,
    pack: Callable[[bytes], bytes],
    piece: int,
) -> None:
    """Read in pieces so small that every character and every line end is cut through somewhere."""
    monkeypatch.setattr(packing, "_PIECE", piece)
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    content = ("\n".join([f"a{delimiter}b", *lines]) + "\n").encode(encoding)
    words = {bytes: "none", gzip.compress: "gzip", bz2.compress: "bzip2", zstandard.compress: "zstd"}
    root = folder(tmp_path / "in", "x", pack(content))
    data = {"columnDelimiter": delimiter, "encoding": encoding, "compressionType": words.get(pack, "deflate")}
    strings = {"columns": [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]}
    assert land(root, data=data, params=strings).multiset == Counter(rows)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=3000), cut=st.integers(0, 60), word=st.sampled_from(["gzip", "bzip2", "zstd", "xz"]))
def test_a_stream_is_whole_or_it_is_an_error(content: bytes, cut: int, word: str) -> None:
    pack = {"gzip": gzip.compress, "bzip2": bz2.compress, "zstd": zstandard.compress, "xz": lzma.compress}[word]
    packed = pack(content)  # type: ignore[operator]
    whole = packed[: len(packed) - cut] if cut < len(packed) else packed
    if whole == packed:
        assert b"".join(inflated(word, io.BytesIO(packed))) == content
    else:
        with pytest.raises((EOFError, zlib.error, OSError, lzma.LZMAError, zstandard.ZstdError)):
            b"".join(inflated(word, io.BytesIO(whole)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", Packing()),
        ("a.CSV.GZ", Packing("gzip")),
        ("a.tar.bz2", Packing("bzip2", "tar")),
        ("a.tgz", Packing("gzip", "tar")),
        ("a.txz", Packing("xz", "tar")),
        ("a.zip", Packing("", "zip")),
        ("zip", Packing()),
    ],
)
def test_names_tell_how_a_file_is_packed(name: str, expected: Packing) -> None:
    assert Packing.named(name) == expected


def test_what_cannot_be_detected_is_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "7z", b"7z\xbc\xaf\x27\x1c\0\4" + NOISE)
    folder(root, "cut", gzip.compress(NOISE)[:5000][:-4] + bytes(4))
    folder(root, "dir.zip", zipped(_hidden=b"x"))
    folder(root, "x.dat", bz2.compress(tarred(a_csv=b"a,b\n1,2\n")))
    folder(root, "y.tar.bz2", bz2.compress(tarred(a_csv=b"a,b\n1,2\n")))
    folder(root, "pgp", b"-----BEGIN PGP MESSAGE-----\n")
    files = local_files(root)
    for name, error in {
        "7z": DetectionUnsupported,
        "pgp": DetectionUnsupported,
        "x.dat": DetectionUnsupported,
        "dir.zip": DetectionFailed,
        "cut": DetectionFailed,
    }.items():
        with pytest.raises(error, match=name):
            files.detect(name)
    assert files.detect("y.tar.bz2") == {"format": "delimited", "columnDelimiter": ",", "encoding": "UTF-8"}


@pytest.mark.parametrize("word", ["gzip", "zipDeflate", "zstd"])
def test_parquet_is_not_said_to_be_compressed(tmp_path: Path, word: str) -> None:
    with pytest.raises(BadParameter, match="`compressionType` is for delimited and json files"):
        land(folder(tmp_path / "in", "x.parquet", b""), format_="parquet", data={"compressionType": word})


def test_json_in_every_packing_and_form(tmp_path: Path) -> None:
    lines = b"".join(b'{"id": %d, "in": {"tags": ["a", "b"]}}\n' % number for number in range(500))
    array = b"[" + lines.strip().replace(b"\n", b",\n") + b"]"
    joined = lines.replace(b"\n", b"")
    pretty = lines.replace(b", ", b",\n  ").replace(b'{"in"', b'\n{"in"')
    expected = None
    for number, content in enumerate((lines, array, joined, pretty)):
        root = folder(tmp_path / str(number), "x.json", content)
        folder(root, "x.json.gz", gzip.compress(content))
        folder(root, "x.zip", zipped(a_json=content))
        rows = sorted(map(str, land(root, format_="json").data))
        expected = expected or rows
        assert rows == expected
        assert len(rows) == 1500
        for files in (local_files(root), elsewhere(root)):
            assert files.detect("x.json")["format"] == "json"
            for name in ("x.json", "x.zip", "x.json.gz"):
                shown = files.preview(Selection({"path": name}, {"format": "json"}), 5)
                assert [row[0] for row in shown.rows] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("form", ["lines", "array", "joined"])
def test_the_beginning_of_a_large_file_shows_it(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file whose rest is not looked at, packed or not; cut off within a record."""
    monkeypatch.setattr(source, "_HEAD", 10_000)
    records = [b'{"id": %d, "text": "%s"}' % (number, os.urandom(20).hex().encode()) for number in range(5000)]
    ends = {"lines": (b"", b"\n", b"\n"), "array": (b"[", b",\n", b"]"), "joined": (b"", b"", b"")}[form]
    content = ends[0] + ends[1].join(records) + ends[2]
    root = folder(folder(tmp_path / "in", "x.json", content), "x.json.bz2", bz2.compress(content))
    folder(folder(root, "x.zip", zipped(a_json=content)), "x.tgz", gzip.compress(tarred(a_json=content)))
    store = Elsewhere(root)
    for name in ("x.json", "x.zip", "x.tgz"):
        store.read_bytes = 0
        files = Files(store, Scratch(tmp_path / "scratch", 10**9))
        assert [row[0] for row in files.preview(Selection({"path": name}, {"format": "json"}), 9).rows] == [*range(9)]
        assert store.read_bytes <= 10_000, name


def test_zip_names_are_checked_only_as_far_as_wanted(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(b_csv=b"2", a_csv=b"1"))
    assert [member.name for member in zip_members(str(path), "x.zip", "*.csv")] == ["a.csv", "b.csv"]


def test_errors_are_of_our_tree(tmp_path: Path) -> None:
    """Whatever is in a file, nothing but an error of our tree comes out, and nothing is left behind."""
    rng = random.Random(11)
    packed = [content for _, content, _ in PACKED.values()]
    for number in range(120):
        content = bytearray(rng.choice(packed))
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(min(len(content), 3000))] = rng.randrange(256)
        name = f"x{rng.choice(['.gz', '.bz2', '.zst', '.xz', '.zip', '.tar', '.tgz', '.deflate'])}"
        root = folder(tmp_path / f"in{number}", name, bytes(content))
        try:
            land(root)
        except HeadgateError as error:
            assert name in error.detail, error.detail  # noqa: PT017
    assert not [*(tmp_path / "scratch").glob("*/*")]

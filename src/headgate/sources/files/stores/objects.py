"""Object stores: buckets (containers) of objects, whose names say which folder they are in."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import obstore
import pyarrow as pa
from obstore.exceptions import BaseError

from headgate.errors import SourceChanged, SourceError, SourceObjectMissing, SourcePathForbidden
from headgate.sources.files.stores.interface import Listed
from headgate.sources.files.stores.refusals import refusal
from headgate.sources.files.stores.tunnel import Tunnel
from headgate.sources.interface import FileRef

__all__ = ["Account", "ObjectStore"]

_PER_CHUNK = 10_000  # objects of a listing that are turned into our own at a time
_PIECE = 4 << 20  # bytes of one request for a part of a large object, held until those before it are written
_AHEAD = 4  # requests for parts that are under way at the same time
_SHOWN = 1 << 20  # bytes that are handed on at a time
_CLIENT_ENCRYPTED = ("x-amz-key", "x-amz-key-v2", "x-amz-3", "encryptiondata")  # what their clients note beside it


class Account(Protocol):
    """One account of an object store: how its buckets are opened, and what its addresses look like.

    `prefix` begins every address (`s3://`), `folder` is the bucket and the folder in it that the connection is held
    to, empty when it may name any bucket. `tunnel` is the only way out.
    """

    prefix: str
    folder: tuple[str, ...]
    tunnel: Tunnel

    def bucket(self, name: str) -> Any:
        """The store of obstore for one bucket, with credentials of the connection alone."""

    def buckets(self) -> Iterator[str]:
        """The names of the account's buckets. Raises SourceError, httpx.HTTPError."""


class ObjectStore:
    """The objects of an account, as files in folders.

    Empty objects are left out: they hold no record, and are how these systems mark folders. A version is the store's
    entity tag, which every request for content demands.
    """

    local = False

    def __init__(self, account: Account) -> None:
        self._account = account
        self._opened: dict[str, Any] = {}

    def check(self) -> None:
        """List the connection's folder, or its buckets. Raises SourceError."""
        for _ in self._list(self.address("")):
            return

    def address(self, path: str) -> str:
        """The address of `path`. Raises SourcePathForbidden outside of the connection's bucket and folder."""
        prefix, folder = self._account.prefix, self._account.folder
        parts = tuple(part for part in path.removeprefix(prefix).split("/") if part not in ("", "."))
        if ".." in parts or any(ord(letter) < 32 for letter in path):
            raise SourcePathForbidden(f"The path {path!r} is refused: it holds a '..' part or a control character.")
        if not path.startswith(prefix):
            parts = folder + parts
        if parts[: len(folder)] != folder:
            raise SourcePathForbidden(f"{path} lies outside of {self.address('')}, which this connection is held to.")
        return prefix + "/".join(parts)

    def pin(self, address: str) -> FileRef | None:
        """The object at `address`; None where objects lie below it."""
        bucket, key = self._split(address)
        file = self._object(bucket, key, address) if key else None
        if file is not None and file.size:
            return file
        if not bucket or not self._is_bare(bucket, key, address):
            return None
        if key and file is None:
            raise SourceObjectMissing(f"There is no {address}.", path=address)
        return file

    def listed(self, folder: str) -> Iterator[Listed]:
        """The objects and folders in `folder`; the buckets where the connection names none."""
        bucket, key = self._split(folder)
        if not bucket:
            with self._telling(folder):
                names = list(self._account.buckets())
            yield from (Listed(name, folder=f"{self._account.prefix}{name}") for name in names)
            return
        with self._telling(folder):
            found = obstore.list_with_delimiter(self._bucket(bucket), key or None, return_arrow=True)
        some = not key
        for path in found["common_prefixes"]:
            some = True
            yield Listed(path.rpartition("/")[2], folder=f"{self._account.prefix}{bucket}/{path}")
        for batch in pa.table(found["objects"]).to_batches():
            some = some or batch.num_rows > 0
            for file in self._files(bucket, batch):
                yield Listed(file.path.rpartition("/")[2], file)
        if not some:
            raise SourceObjectMissing(f"There is no folder {folder}.", path=folder)

    def below(self, folder: str) -> Iterator[tuple[str, FileRef]]:
        """All objects below `folder`, as the store's pages come."""
        start = len(folder) + (not folder.endswith("/"))
        return ((file.path[start:], file) for file in self._list(folder))

    def read(self, file: FileRef, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """The content of the pinned version; a large one by several requests at a time."""
        end = file.size if size is None else min(file.size, start + size)
        if end - start <= 2 * _PIECE:
            yield from self._part(file, start, end)
            return

        def whole(at: int) -> list[bytes]:
            return [*self._part(file, at, min(end, at + _PIECE))]

        pool = ThreadPoolExecutor(_AHEAD, "fetch")
        under_way: deque[Future[list[bytes]]] = deque()
        try:
            for at in range(start, end, _PIECE):
                if len(under_way) >= _AHEAD:
                    yield from under_way.popleft().result()
                under_way.append(pool.submit(whole, at))
            while under_way:
                yield from under_way.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _part(self, file: FileRef, start: int, end: int) -> Iterator[bytes]:
        if end <= start:
            return
        bucket, key = self._split(file.path)
        left = end - start
        with self._telling(file.path, pinned=True):
            options: Any = {"if_match": file.version}
            if left < file.size:
                options["range"] = (start, end)
            found = obstore.get(self._bucket(bucket), key, options=options)
            if self._file(bucket, found.meta) != file:  # a store may not know If-Match
                raise _changed(file)
            self._see_readable(found, file.path)
            for piece in found.stream(min_chunk_size=_SHOWN):
                left -= len(piece)
                yield bytes(piece)
        if left:
            raise _changed(file)

    def _is_bare(self, bucket: str, key: str, address: str) -> bool:
        """Whether nothing lies below a name that could be a folder's, not even what marks one."""
        with self._telling(address):
            return not any(obstore.list(self._bucket(bucket), key or None, chunk_size=1))

    def _list(self, folder: str) -> Iterator[FileRef]:
        bucket, key = self._split(folder)
        if not bucket:
            for entry in self.listed(folder):
                yield from self._list(str(entry.folder))
            return
        with self._telling(folder):
            for chunk in obstore.list(self._bucket(bucket), key or None, chunk_size=_PER_CHUNK, return_arrow=True):
                yield from self._files(bucket, pa.record_batch(chunk))

    def _files(self, bucket: str, batch: pa.RecordBatch) -> Iterator[FileRef]:
        """The objects of a listing, without the empty ones."""
        start = f"{self._account.prefix}{bucket}/"
        times = batch["last_modified"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        columns = (batch["path"], batch["size"], times, batch["e_tag"])
        for path, size, modified, tag in zip(*(column.to_pylist() for column in columns), strict=True):
            if size:
                yield FileRef(start + path, size, modified, version=_tag(tag))

    def _file(self, bucket: str, about: Mapping[str, Any]) -> FileRef:
        modified = about["last_modified"]
        at = int(modified.timestamp()) * 1_000_000 + modified.microsecond
        return FileRef(
            f"{self._account.prefix}{bucket}/{about['path']}", about["size"], at, version=_tag(about["e_tag"])
        )

    def _object(self, bucket: str, key: str, address: str) -> FileRef | None:
        """The object of exactly that name; None where there is none."""
        try:
            with self._telling(address):
                found = obstore.get(self._bucket(bucket), key)  # not head: its refusals come without the reason
        except SourceObjectMissing:
            return None
        self._see_readable(found, address)
        return self._file(bucket, found.meta)

    def _see_readable(self, found: Any, address: str) -> None:
        if any(name.lower() in _CLIENT_ENCRYPTED for name in found.attributes):
            raise SourceError(f"{address} was encrypted by whoever wrote it; Headgate reads it only in the clear.")

    def _bucket(self, name: str) -> Any:
        if name not in self._opened:
            self._opened[name] = self._account.bucket(name)
        return self._opened[name]

    def _split(self, address: str) -> tuple[str, str]:
        bucket, _, key = address.removeprefix(self._account.prefix).partition("/")
        return bucket, key

    @contextmanager
    def _telling(self, what: str, *, pinned: bool = False) -> Iterator[None]:
        """Turns what a client says into errors of our tree."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            told = refusal(error, what, self._account.tunnel)
            if pinned and isinstance(told, SourceObjectMissing):
                raise SourceChanged(f"{what} vanished while it was being read.", path=what) from None
            raise told from None


def _tag(tag: str | None) -> str | None:
    """An entity tag as every request writes it alike: Azure leaves the quotes out of a listing."""
    return tag if tag is None or tag.startswith(('"', "W/")) else f'"{tag}"'


def _changed(file: FileRef) -> SourceChanged:
    return SourceChanged(f"{file.path} changed while it was being read.", path=file.path)

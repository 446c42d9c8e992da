"""The source for files on this machine."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import duckdb

from headgate import dataplane
from headgate.dataplane import Breaking, quote, unbroken
from headgate.errors import (
    BadFormat,
    BadParameter,
    FilterNotOffered,
    HeadgateError,
    ParameterMissing,
    SourceError,
    SourceObjectMissing,
    UnholdableValue,
    UnreadableRecord,
)
from headgate.model.lake import SOURCE_MODIFIED, Column
from headgate.model.plain import plain
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window
from headgate.rejects import Rejects
from headgate.sources.files import delimited, faults, json_files, layout, listing, parquet_files, sift
from headgate.sources.files.detect import detect
from headgate.sources.files.layout import Layout
from headgate.sources.files.text_types import FOUND, STRING, TextType, declared_types
from headgate.sources.interface import Entry, FileRef, Preview, Reading, Relation, Selection, Split
from headgate.sources.roots import Roots

__all__ = ["LocalFiles"]

_DESCRIBED = 16
_GLANCE_SECONDS = 10
_FOUND = {type_.lake: type_ for type_ in (*FOUND, STRING)}


class LocalFiles:
    """Files below the folders that this service may read.

    A run takes the files whose last-modified time lies in its window. They are pinned by address, size and
    time when the run is planned; `verify()` tells whether a file changed since.
    """

    def __init__(self, auth_params: Mapping[str, Any], roots: Roots) -> None:
        """`auth_params` may name a `folder` that paths are relative to; else it is the first of `roots`.

        Raises SourcePathForbidden.
        """
        self._roots = roots
        self._breaking: Breaking = unbroken
        self._folder = self._roots.first / str(auth_params.get("folder") or "")
        self._roots.real(str(self._folder))
        self._written: tuple[delimited.Dialect, str] | None = None  # how the planned files are, when they are text
        self._copies: list[FileRef] = []
        self._unreadable: dict[str, Rejects] = {}  # by address of the copy that lacks them

    def check(self) -> None:
        """List the connection's folder. Raises SourceError: missing, forbidden or not readable."""
        folder = self._roots.real(str(self._folder))
        with listing.opening(folder), os.scandir(folder):
            pass

    def validate(self, selection: Selection) -> None:
        """See that the path lies under the roots, that the format is described well, and nothing more is asked for."""
        base, path = self._wanted(selection)
        listing.fixed_part(path, base=base, roots=self._roots)
        self._dialect(selection)
        declared_types(selection.params)

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """The folders and files in the folder `path`, by name; those whose name begins with a dot are left out."""
        base = Path(self._roots.real(str(self._folder)))
        return listing.entries(path, base=base, roots=self._roots)

    def detect(self, path: str) -> Mapping[str, str]:
        """The format of one file and, as far as it has one, its dialect."""
        [file, *_] = self._find(Selection({"path": path, "type": "file"})) or self._none_selected()
        return detect(file.path)

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and first rows of a file, as far as they can be told from its beginning."""
        self.validate(selection)
        [file, *_] = self._find(selection) or self._none_selected()
        planned = self._read_as(selection, [file], declared_types(selection.params), glance=True)
        if not planned.scans or not rows:
            return Preview(planned.columns, ())
        names = ", ".join(quote(column.name) for column in planned.columns)
        query = f"SELECT {names} FROM ({planned.scans[file.path].sql([file])}) LIMIT {int(rows)}"
        with dataplane.opened() as connection, _briefly(connection):
            try:
                found = connection.sql(query).to_arrow_table()
            except duckdb.Error as error:
                raise faults.translate(error) from None
        by_column = [column.to_pylist() for column in found.columns]
        return Preview(planned.columns, tuple(tuple(map(plain, row)) for row in zip(*by_column, strict=True)))

    def describe(self, selection: Selection) -> Relation:
        """The columns of the newest files that are selected; none when nothing is there yet.

        The columns that say which file a row is from are not among them. Raises SourceError, BadParameter.
        """
        files = sorted(self._find(selection), key=lambda file: file.modified_us, reverse=True)[:_DESCRIBED]
        return Relation(self._inspect(selection, sorted(files, key=lambda file: file.path)).columns)

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:  # noqa: ARG002 - as every source
        """None: files are ordered by their last-modified time, whatever the delta column."""
        return None

    @contextmanager
    def plan(
        self,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,  # noqa: ARG002 - as every source
        *,
        parallel: int,
        breaking: Breaking = unbroken,
    ) -> Iterator[Reading]:
        """Plan the files modified in `window`; `delta` means nothing here. Raises SourceError, BadParameter."""
        self._breaking = breaking
        found = self._find(selection)
        files = [f for f in found if window.start_ms * 1000 <= f.modified_us < window.end_ms * 1000]
        with TemporaryDirectory(prefix="headgate-") if selection.rejecting else nullcontext() as folder:
            if folder is not None:
                files = [self._readable(selection, file, Path(folder)) for file in files]
            try:
                planned = self._inspect(selection, files)
            except SourceError as error:
                raise _by_original(error, files) from None
            columns = planned.columns or self._columns_elsewhere(selection)
            yield Reading(
                columns=(*columns, *layout.PROVENANCE) if columns else (),
                splits=layout.splits(planned, files, parallel),
                window_column=SOURCE_MODIFIED,
                bounds=Bounds.of(window, DeltaType.TIMESTAMPTZ),
                rejecting=selection.rejecting,
            )

    def prepare(self, connection: duckdb.DuckDBPyConnection, reading: Reading, split: Split) -> None:
        """Nothing to do: the readers are part of DuckDB."""

    def interrupt(self, reading: Reading) -> None:
        """Nothing to do: files are read inside DuckDB, whose interrupt reaches it."""

    def verify(self, split: Split) -> None:
        """Raises SourceChanged when a file of `split` is not what it was when it was planned.

        Raises UnreadableRecord for a Parquet file whose pages do not have the checksums they carry.
        """
        for file in split.files:
            listing.changed(file)
            parquet_files.check_pages(file)

    def account(self, split: Split, rejects: Rejects) -> None:
        """Add the records that could not be read, and to those of text the lines they are on."""
        heard, rejects.kept = rejects.kept, []
        for file in split.files:
            address = file.original or file.path
            here = [replace(reject, file=address) for reject in heard if reject.file in (file.path, address)]
            if here and self._written is not None:
                with self._until_broken() as stopped:
                    here = [*sift.located(here, address, *self._written, stopped)]
            rejects.kept += here
            rejects.merge(self._unreadable.get(file.path, Rejects()))

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for `error`, with file, line and column where they can be known."""
        return _by_original(faults.translate(error), self._copies)

    @contextmanager
    def _until_broken(self) -> Iterator[Callable[[], bool]]:
        """Tells whether the work inside has been broken off."""
        broken = threading.Event()
        with self._breaking(broken.set):
            yield broken.is_set

    def _readable(self, selection: Selection, file: FileRef, folder: Path) -> FileRef:
        """`file`, or a copy of it in `folder` without the records that cannot be read."""
        format_, dialect = self._dialect(selection)
        if format_ == "parquet":
            return file
        self._written = dialect, format_
        reader = delimited if format_ == "delimited" else json_files
        with dataplane.opened() as connection, self._breaking(connection.interrupt):
            try:
                if reader.readable(connection, file, dialect):
                    return file
            except duckdb.Error as error:
                told = faults.translate(error)
                if not isinstance(told, UnreadableRecord):
                    raise told from None
        name = f"{len(self._unreadable)}{'.gz' if delimited.is_gzip(file.path, dialect.gzip) else ''}"
        copy = replace(file, path=str(folder / name), original=file.path)
        pieces = sift.delimited_pieces if format_ == "delimited" else sift.json_pieces
        try:
            with self._until_broken() as stopped:
                self._unreadable[copy.path] = sift.sifted(file.path, Path(copy.path), dialect, pieces, stopped)
        except UnreadableRecord as error:
            raise UnreadableRecord(f"{file.path}: {error.detail}", path=file.path) from None
        self._copies.append(copy)
        return copy

    def _none_selected(self) -> NoReturn:
        raise SourceObjectMissing("No file is selected.")

    def _columns_elsewhere(self, selection: Selection) -> tuple[Column, ...]:
        try:
            return self.describe(selection).columns
        except SourceError:
            return ()  # a file outside the window must not fail a run that does not read it

    def _find(self, selection: Selection) -> list[FileRef]:
        base, path = self._wanted(selection)
        kind, recursive = selection.params.get("type"), _recursive(selection)
        return listing.find_files(path, base=base, roots=self._roots, kind=kind, recursive=recursive)

    def _wanted(self, selection: Selection) -> tuple[Path, str]:
        """The connection's folder and the path of the selection, whose params are well formed."""
        params = selection.params
        if params.get("filters") is not None:
            raise FilterNotOffered("Files cannot be filtered by rows; leave params.filters out.")
        if params.get("cdcEnabled") not in (None, False, "false"):
            raise BadParameter("params.cdcEnabled is not offered by files; leave it out.", parameter="cdcEnabled")
        path = params.get("path")
        if not isinstance(path, str) or not path:
            raise ParameterMissing("`params.path` is missing; it names a file, a folder or a wildcard.")
        kind = params.get("type")
        if kind not in (None, "file", "folder"):
            raise BadParameter(f"`params.type` is {kind!r}; it must be file or folder.", parameter="type")
        _recursive(selection)
        return Path(self._roots.real(str(self._folder))), path

    def _inspect(self, selection: Selection, files: Sequence[FileRef]) -> Layout:
        declared = declared_types(selection.params)
        found = self._found(selection, files, declared)
        held = {
            column.name: _FOUND[selection.held[column.name]]
            for column in found.columns
            if column.name not in declared
            and selection.held.get(column.name, column.type) != column.type
            and selection.held[column.name] in _FOUND
        }
        return self._found(selection, files, declared | held) if held else found

    def _found(self, selection: Selection, files: Sequence[FileRef], declared: Mapping[str, TextType]) -> Layout:
        """The layout; where values of a field disagree, the type that the target gives it decides who is right."""
        while True:
            try:
                return self._read_as(selection, files, declared)
            except UnholdableValue as error:
                name = str(error.report.get("column"))
                type_ = _FOUND.get(selection.held[name]) if name in selection.held else None
                if not selection.rejecting or type_ is None or name in declared:
                    raise
                declared = {**declared, name: type_}

    def _read_as(
        self,
        selection: Selection,
        files: Sequence[FileRef],
        declared: Mapping[str, TextType],
        *,
        glance: bool = False,
    ) -> Layout:
        (format_, dialect), rejecting = self._dialect(selection), selection.rejecting
        if not files:
            return Layout((), {})
        if format_ == "parquet":
            return parquet_files.inspect(files, declared, glance=glance, rejecting=rejecting)
        with (
            dataplane.opened() as connection,
            self._breaking(connection.interrupt),
            _briefly(connection) if glance else nullcontext(),
        ):
            try:
                if format_ == "json":
                    return json_files.inspect(
                        connection, files, dialect.gzip, declared, glance=glance, rejecting=rejecting
                    )
                return delimited.inspect(connection, files, dialect, declared, glance=glance, rejecting=rejecting)
            except duckdb.Error as error:
                raise faults.translate(error) from None

    def _dialect(self, selection: Selection) -> tuple[str, delimited.Dialect]:
        """The format of the files and, as far as it has one, its dialect."""
        format_ = selection.data.get("format")
        if format_ not in ("delimited", "json", "parquet"):
            raise BadFormat(f"`data.format` is {format_!r}; files are read as delimited, json or parquet.")
        dialect = delimited.Dialect.of(selection.data)
        if format_ != "delimited" and dialect.encoding != "utf-8":
            raise BadParameter(f"{format_} files are always utf-8.", parameter="encoding")
        return format_, dialect


def _by_original(error: HeadgateError, files: Iterable[FileRef]) -> HeadgateError:
    """`error` with the names of the files that copies were made of."""
    detail = error.detail
    for file in files:
        detail = detail.replace(file.path, file.original or file.path)
    return error if detail == error.detail else type(error)(detail, **error.report)


def _recursive(selection: Selection) -> bool:
    recursive = {"true": True, "false": False}.get(str(selection.params.get("recursive", False)).lower())
    if recursive is None:
        raise BadParameter("`params.recursive` must be true or false.", parameter="recursive")
    return recursive


@contextmanager
def _briefly(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Stop what `connection` does once it has taken too long."""
    timer = threading.Timer(_GLANCE_SECONDS, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

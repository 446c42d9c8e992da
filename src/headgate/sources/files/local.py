"""The source for files on this machine."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from headgate import dataplane
from headgate.errors import (
    BadFormat,
    BadParameter,
    HeadgateError,
    ParameterMissing,
    SourceError,
)
from headgate.model.lake import SOURCE_MODIFIED, Column
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window
from headgate.sources.files import delimited, faults, json_files, layout, listing, parquet_files
from headgate.sources.files.layout import Layout
from headgate.sources.files.text_types import FOUND, STRING, TextType, declared_types
from headgate.sources.interface import FileRef, Reading, Relation, Selection, Split
from headgate.sources.roots import Roots

__all__ = ["LocalFiles"]

_DESCRIBED = 16
_FOUND = {type_.lake: type_ for type_ in (*FOUND, STRING)}


class LocalFiles:
    """Files below the folders that this service may read.

    A run takes the files whose last-modified time lies in its window. They are pinned by address, size and
    time when the run is planned; `verify()` tells whether a file changed since.
    """

    def __init__(self, auth_params: Mapping[str, Any], roots: Roots) -> None:
        """`auth_params` may name a `folder` that paths are relative to; else it is the first of `roots`."""
        self._roots = roots
        self._folder = self._roots.first / str(auth_params.get("folder") or "")

    def check(self) -> None:
        """List the connection's folder. Raises SourceError: missing, forbidden or not readable."""
        folder = self._roots.real(str(self._folder))
        with listing.opening(folder), os.scandir(folder):
            pass

    def describe(self, selection: Selection) -> Relation:
        """The columns of the newest files that are selected; none when nothing is there yet.

        The columns that say which file a row is from are not among them. Raises SourceError, BadParameter.
        """
        files = sorted(self._find(selection), key=lambda file: file.modified_us, reverse=True)[:_DESCRIBED]
        return Relation(self._inspect(selection, sorted(files, key=lambda file: file.path)).columns)

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:  # noqa: ARG002
        """None: files are ordered by their last-modified time, whatever the delta column."""
        return None

    @contextmanager
    def plan(
        self,
        selection: Selection,
        window: Window,
        delta: DeltaColumn | None,  # noqa: ARG002
        *,
        parallel: int,
    ) -> Iterator[Reading]:
        """Plan the files modified in `window`; `delta` means nothing here. Raises SourceError, BadParameter."""
        found = self._find(selection)
        files = [f for f in found if window.start_ms * 1000 <= f.modified_us < window.end_ms * 1000]
        planned = self._inspect(selection, files)
        columns = planned.columns or self._columns_elsewhere(selection)
        yield Reading(
            columns=(*columns, *layout.PROVENANCE) if columns else (),
            splits=layout.splits(planned, files, parallel),
            window_column=SOURCE_MODIFIED,
            bounds=Bounds.of(window, DeltaType.TIMESTAMPTZ),
        )

    def prepare(self, connection: duckdb.DuckDBPyConnection, reading: Reading) -> None:
        """Nothing to do: the readers are part of DuckDB."""

    def interrupt(self, reading: Reading) -> None:
        """Nothing to do: files are read inside DuckDB, whose interrupt reaches it."""

    def verify(self, split: Split) -> None:
        """Raises SourceChanged when a file of `split` is not what it was when it was planned."""
        for file in split.files:
            listing.changed(file)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for `error`, with file, line and column where they can be known."""
        return faults.translate(error)

    def _columns_elsewhere(self, selection: Selection) -> tuple[Column, ...]:
        try:
            return self.describe(selection).columns
        except SourceError:
            return ()  # a file outside the window must not fail a run that does not read it

    def _find(self, selection: Selection) -> list[FileRef]:
        params = selection.params
        path = params.get("path")
        if not isinstance(path, str) or not path:
            raise ParameterMissing("`params.path` is missing; it names a file, a folder or a wildcard.")
        kind = params.get("type")
        if kind not in (None, "file", "folder"):
            raise BadParameter(f"`params.type` is {kind!r}; it must be file or folder.", parameter="type")
        recursive = {"true": True, "false": False}.get(str(params.get("recursive", False)).lower())
        if recursive is None:
            raise BadParameter("`params.recursive` must be true or false.", parameter="recursive")
        base = Path(self._roots.real(str(self._folder)))
        return listing.find_files(path, base=base, roots=self._roots, kind=kind, recursive=recursive)

    def _inspect(self, selection: Selection, files: Sequence[FileRef]) -> Layout:
        declared = declared_types(selection.params)
        found = self._read_as(selection, files, declared)
        held = {
            column.name: _FOUND[selection.held[column.name]]
            for column in found.columns
            if column.name not in declared
            and selection.held.get(column.name, column.type) != column.type
            and selection.held[column.name] in _FOUND
        }
        return self._read_as(selection, files, declared | held) if held else found

    def _read_as(self, selection: Selection, files: Sequence[FileRef], declared: Mapping[str, TextType]) -> Layout:
        data = selection.data
        format_ = data.get("format")
        if format_ not in ("delimited", "json", "parquet"):
            raise BadFormat(f"`data.format` is {format_!r}; files are read as delimited, json or parquet.")
        dialect = delimited.Dialect.of(data)
        if format_ != "delimited" and dialect.encoding != "utf-8":
            raise BadParameter(f"{format_} files are always utf-8.", parameter="encoding")
        if not files:
            return Layout((), {})
        if format_ == "parquet":
            return parquet_files.inspect(files, declared)
        with dataplane.opened() as connection:
            try:
                if format_ == "json":
                    return json_files.inspect(connection, files, dialect.gzip, declared)
                return delimited.inspect(connection, files, dialect, declared)
            except duckdb.Error as error:
                raise faults.translate(error) from None

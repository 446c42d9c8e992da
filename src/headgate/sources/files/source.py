"""The source for files, wherever they are."""

import heapq
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import duckdb

from headgate import dataplane
from headgate.dataplane import Breaking, quote, unbroken
from headgate.errors import (
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
from headgate.model.plain import plain as plain_value
from headgate.model.windows import Bounds, DeltaColumn, DeltaType, Window
from headgate.rejects import Rejects
from headgate.sources.files import delimited, faults, fetching, json_files, layout, listing, parquet_files, sift
from headgate.sources.files.beginning import Beginning, glimpse
from headgate.sources.files.copies import Copies, Scratch
from headgate.sources.files.detect import HEAD, detect
from headgate.sources.files.form import ENCRYPTED, Form
from headgate.sources.files.layout import Layout
from headgate.sources.files.plain import plain
from headgate.sources.files.stores import Store
from headgate.sources.files.text_types import FOUND, STRING, TextType, declared_types
from headgate.sources.interface import Entry, FileRef, Preview, Reading, Relation, Selection, Split, Survey

__all__ = ["Files"]

_DESCRIBED = 16
_GLANCE_SECONDS = 10
_LISTED = 2000  # files that are looked at together
_HEAD = 4 * 1024 * 1024  # of a file that is elsewhere, to show its columns
_NOTES = 10  # of one run
_SHOWN = 20_000  # records that are made of one, to show its columns and first rows
_WHOLE = 128 * 1024 * 1024
_SUFFIX = re.compile(r"([.][A-Za-z0-9]{1,8}){1,2}$")
_FOUND = {type_.lake: type_ for type_ in (*FOUND, STRING)}


class Files:
    """The files of one store.

    A run takes those whose last-modified time lies in its window, or that its flow has not seen before. They are pinned
    by address, size, time and version when the run is planned. Those of this machine are read where they are,
    `verify()` tells whether one changed since; of others that very version is copied here first.
    """

    def __init__(self, store: Store, scratch: Scratch) -> None:
        self._store = store
        self._scratch = scratch
        self._breaking: Breaking = unbroken
        self._written: tuple[delimited.Dialect, str] | None = None  # how the planned files are, when they are text
        self._planned: Sequence[FileRef] = ()
        self._copies: list[FileRef] = []
        self._made_of: dict[str, FileRef] = {}  # by address of a copy
        self._unreadable: dict[str, Rejects] = {}  # by address of the copy that lacks them
        self._notes: list[str] = []

    def check(self) -> None:
        """Reach the store. Raises SourceError."""
        self._store.check()

    def validate(self, selection: Selection) -> None:
        """See that the path lies in the store, that the format is described well, and nothing more is asked for."""
        listing.parted(self._store, _path(selection)[0], look=self._store.local)
        self._dialect(selection)
        declared_types(selection.params)

    def explore(self, path: str | None) -> tuple[Entry, ...]:
        """The folders and files in the folder `path`, by name; those whose name begins with a dot are left out."""
        return listing.entries(self._store, path)

    def detect(self, path: str) -> Mapping[str, str]:
        """The format of one file and, as far as it has one, its dialect."""
        file = self._first(Selection({"path": path, "type": "file"}))
        head = b"".join(self._store.read(file, size=HEAD))
        return detect(Beginning(head, file.size == len(head)), file.path)

    def preview(self, selection: Selection, rows: int) -> Preview:
        """The columns and first rows of a file, as far as they can be told from its beginning."""
        self.validate(selection)
        file = self._first(selection)
        with self._scratch.copies() as copies:
            here = self._glanced(file, selection, copies, rows=bool(rows))
            try:
                return self._shown(selection, here, rows)
            except HeadgateError as error:
                raise _by_original(error, here) from None

    def describe(self, selection: Selection) -> Relation:
        """The columns of the newest files that are selected; none when nothing is there yet.

        Of files that are not on this machine the beginning is looked at. The columns that say which file a row is from
        are not among them. Raises SourceError, BadParameter.
        """
        files = heapq.nlargest(_DESCRIBED, self._find(selection), key=lambda file: file.modified_us)
        with self._scratch.copies() as copies:
            here = [
                copy
                for file in sorted(files, key=lambda file: file.path)
                for copy in self._glanced(file, selection, copies)
            ]
            try:
                return Relation(self._inspect(selection, here, glance=not self._store.local).columns)
            except HeadgateError as error:
                raise _by_original(error, here) from None

    def delta_error(self, relation: Relation, delta: DeltaColumn) -> str | None:  # noqa: ARG002 - as every source
        """None: files are ordered by their last-modified time, whatever the delta column."""
        return None

    def survey(self, selection: Selection, window: Window, delta: DeltaColumn | None) -> Iterator[Survey]:  # noqa: ARG002
        """The files that were last modified in `window`, and when all were."""
        start, end = window.start_ms * 1000, window.end_ms * 1000
        found, files, size = self._find(selection), 0, 0
        times: list[int] = []
        survey = Survey(files=0, bytes=0)
        while some := [*islice(found, _LISTED)]:
            inside = [file.size for file in some if start <= file.modified_us < end]
            files, size = files + len(inside), size + sum(inside)
            times += [file.modified_us for file in some]
            times = [min(times), max(times)]
            least, greatest = (datetime.fromtimestamp(time / 1e6, UTC).isoformat() for time in times)
            survey = Survey(files=files, bytes=size, least=least, greatest=greatest)
            yield survey
        yield replace(survey, exact=True)

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
        """Plan the files of `window`; `delta` means nothing here. Raises SourceError, BadParameter."""
        self._breaking = breaking
        with self._until_broken() as broken, self._scratch.copies(broken.is_set) as copies:
            files = fetching.each_of([window], lambda window: self._selected(selection, window, broken), broken)
            try:
                files = fetching.each_of(files, lambda file: self._here(file, selection, copies, broken), broken)
                if selection.rejecting:
                    files = fetching.each_of(files, lambda file: [self._readable(selection, file, copies)], broken)
                self._planned = files
                planned = self._inspect(selection, files)
            except HeadgateError as error:
                raise _by_original(error, self._copies) from None
            # Where there is a table, a window without records needs no columns; else other files tell what it is like.
            columns = planned.columns or (() if selection.held else self._columns_elsewhere(selection))
            yield Reading(
                columns=(*columns, *layout.PROVENANCE) if columns else (),
                splits=layout.splits(planned, files, parallel),
                window_column=SOURCE_MODIFIED,
                bounds=Bounds.of(window, DeltaType.TIMESTAMPTZ),
                rejecting=selection.rejecting,
                notes=tuple(sorted(self._notes)[:_NOTES]),
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
            if self._store.local:
                listing.changed(self._store, self._origin(file))
            parquet_files.check_pages(file)

    def account(self, split: Split, rejects: Rejects) -> None:
        """Add the records that could not be read, and to those of text the lines they are on."""
        heard, rejects.kept = rejects.kept, []
        for file in split.files:
            address = file.original or file.path
            here = [replace(reject, file=address) for reject in heard if reject.file in (file.path, address)]
            if here and self._written is not None:
                whole = self._made_of[file.path] if file.path in self._unreadable else file
                with self._until_broken() as broken:
                    here = [*sift.located(here, whole.path, *self._written, broken.is_set)]
            rejects.kept += here
            rejects.merge(self._unreadable.get(file.path, Rejects()))

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree for `error`, with file, line and column where they can be known."""
        return _by_original(_told(error, self._planned), self._copies)

    @contextmanager
    def _until_broken(self) -> Iterator[threading.Event]:
        """Tells whether the work inside has been broken off."""
        broken = threading.Event()
        with self._breaking(broken.set):
            yield broken

    def _selected(self, selection: Selection, window: Window, broken: threading.Event) -> list[FileRef]:
        """The files to read for `window`, by address, each once."""
        found, chosen, seen = self._find(selection), dict[str, FileRef](), False
        while some := [*islice(found, _LISTED)]:
            fetching.go_on(broken)
            seen = True
            if selection.intake is not None:
                taken = selection.intake.taken(some, window)
            else:
                taken = [file for file in some if window.start_ms * 1000 <= file.modified_us < window.end_ms * 1000]
            chosen.update((file.path, file) for file in taken)
        if not seen:
            self._notes.append(f"The path {selection.params['path']!r} selects no file, whenever it was modified.")
        return [chosen[path] for path in sorted(chosen)]

    def _here(self, file: FileRef, selection: Selection, copies: Copies, broken: threading.Event) -> Sequence[FileRef]:
        """What is read on this machine in the place of `file`."""
        here = file
        if not self._store.local:
            here = self._copied(file, fetching.fetched(self._store, file, copies, broken, suffix=_suffix(file)))
        form = Form.of(selection.data)
        members = _path(selection)[1]
        made = plain(here, form, copies, members=members, strict=not selection.rejecting)
        if members and not made:
            self._notes.append(f"{file.path} holds no file that {members!r} matches.")
        if here not in made:
            for each in made:
                self._copied(here, each)
            if here is not file:
                copies.drop(here)
        return made

    def _glanced(self, file: FileRef, selection: Selection, copies: Copies, *, rows: bool = False) -> Sequence[FileRef]:
        """What shows the columns of `file` on this machine, and its first `rows` too when they are wanted."""
        form, members = Form.of(selection.data), _path(selection)[1]
        in_place = form.in_place(file.path)
        if self._store.local and in_place:
            return [file]
        if file.size > _HEAD or not in_place:
            head = b"".join(self._store.read(file, size=_HEAD))
            if found := glimpse(file, Beginning(head, file.size == len(head)), form, copies, members=members):
                return found
            if form.format == "parquet" and in_place and not rows:
                start = file.size - parquet_files.footer_size(b"".join(self._store.read(file, file.size - 8, 8)), file)
                return [copies.write(file, self._store.read(file, start), at=start)]
        if file.size > _WHOLE and not (self._store.local and form.direct(file.path)):
            raise SourceError(
                f"{file.path} has {file.size} bytes, and its first rows are not to be had without the rest; of such "
                f"files, those of up to {_WHOLE} bytes are shown.",
                path=file.path,
            )
        here = file if self._store.local else copies.write(file, self._store.read(file), suffix=_suffix(file))
        return plain(here, form, copies, members=members, most=None if in_place else _SHOWN)

    def _copied(self, file: FileRef, copy: FileRef) -> FileRef:
        self._made_of[copy.path] = file
        self._copies.append(copy)
        return copy

    def _origin(self, file: FileRef) -> FileRef:
        """The file of the store that `file` is, or was made of."""
        while file.path in self._made_of:
            file = self._made_of[file.path]
        return file

    def _readable(self, selection: Selection, file: FileRef, copies: Copies) -> FileRef:
        """`file`, or a copy of it without the records that cannot be read."""
        format_, dialect = self._dialect(selection)
        if format_ == "parquet":
            return file
        self._written = dialect, format_
        reader = delimited if format_ == "delimited" else json_files
        with dataplane.lent() as connection, self._breaking(connection.interrupt):
            try:
                if reader.readable(connection, file, dialect):
                    return file
            except duckdb.Error as error:
                told = _told(error, [file])
                if not isinstance(told, UnreadableRecord):
                    raise told from None
        pieces = sift.delimited_pieces if format_ == "delimited" else sift.json_pieces
        rejects, suffix = Rejects(), ".gz" if delimited.is_gzip(file.path, dialect.gzip) else ""
        try:
            copy = copies.write(file, sift.sifted(file, dialect, pieces, rejects), suffix=suffix)
        except UnreadableRecord as error:
            raise UnreadableRecord(f"{file.path}: {error.detail}", path=file.path) from None
        self._unreadable[copy.path] = rejects
        return self._copied(file, copy)

    def _first(self, selection: Selection) -> FileRef:
        file = min(self._find(selection), key=lambda file: file.path, default=None)
        if file is None:
            raise SourceObjectMissing("No file is selected.")
        return file

    def _shown(self, selection: Selection, here: Sequence[FileRef], rows: int) -> Preview:
        planned = self._read_as(selection, here, declared_types(selection.params), glance=True)
        scans = [planned.scans[file.path].sql([file]) for file in here if file.path in planned.scans]
        if not scans or not rows:
            return Preview(planned.columns, ())
        names = ", ".join(quote(column.name) for column in planned.columns)
        query = f"SELECT {names} FROM ({' UNION ALL '.join(scans)}) LIMIT {int(rows)}"
        with dataplane.opened() as connection, _briefly(connection):
            try:
                found = connection.sql(query).to_arrow_table()
            except duckdb.Error as error:
                raise _told(error, here) from None
        by_column = [column.to_pylist() for column in found.columns]
        return Preview(planned.columns, tuple(tuple(map(plain_value, row)) for row in zip(*by_column, strict=True)))

    def _columns_elsewhere(self, selection: Selection) -> tuple[Column, ...]:
        try:
            return self.describe(selection).columns
        except SourceError:
            return ()  # a file outside the window must not fail a run that does not read it

    def _find(self, selection: Selection) -> Iterator[FileRef]:
        kind, recursive = selection.params.get("type"), _recursive(selection)
        return listing.find(self._store, _path(selection)[0], kind=kind, recursive=recursive)

    def _inspect(self, selection: Selection, files: Sequence[FileRef], *, glance: bool = False) -> Layout:
        declared = declared_types(selection.params)
        found = self._found(selection, files, declared, glance=glance)
        held = {
            column.name: _FOUND[selection.held[column.name]]
            for column in found.columns
            if column.name not in declared
            and selection.held.get(column.name, column.type) != column.type
            and selection.held[column.name] in _FOUND
        }
        return self._found(selection, files, declared | held, glance=glance) if held else found

    def _found(
        self, selection: Selection, files: Sequence[FileRef], declared: Mapping[str, TextType], *, glance: bool
    ) -> Layout:
        """The layout; where values of a field disagree, the type that the target gives it decides who is right."""
        while True:
            try:
                return self._read_as(selection, files, declared, glance=glance)
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
                held = {name: _FOUND[type_] for name, type_ in selection.held.items() if type_ in _FOUND}
                return delimited.inspect(connection, files, dialect, declared, held, glance=glance, rejecting=rejecting)
            except duckdb.Error as error:
                raise _told(error, files) from None

    def _dialect(self, selection: Selection) -> tuple[str, delimited.Dialect]:
        """The format that is read in the end and, as far as it has one, its dialect. Raises ProviderRefusal."""
        return Form.of(selection.data).read_as, delimited.Dialect.of(selection.data)


def _told(error: Exception, files: Sequence[FileRef]) -> HeadgateError:
    """The error of our tree for `error`, raised while `files` were read."""
    if "TProtocolException" in str(error):
        for file in files:
            try:
                parquet_files.check_decrypted(file)
            except SourceError as told:
                return told
    return faults.translate(error, files)


def _by_original(error: HeadgateError, copies: Iterable[FileRef]) -> HeadgateError:
    """`error` with the names of the files that copies were made of."""
    detail, report = error.detail, dict(error.report)
    for copy in copies:
        detail = detail.replace(copy.path, copy.original or copy.path)
        if report.get("path") == copy.path:
            report["path"] = copy.original or copy.path
    return error if detail == error.detail else type(error)(detail, **report)


def _suffix(file: FileRef) -> str:
    """How the name of a copy must end for it to be known for what it is."""
    return found[0].lower() if (found := _SUFFIX.search(file.path)) else ""


def _path(selection: Selection) -> tuple[str, str | None]:
    """The path of a selection, whose params are well formed, and the pattern for what is in archives, if there is one.

    Both stand in the path: `exports/*.zip!/orders/*.csv`.
    """
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
    if str(params.get("isFileEncrypted") or "false").lower() != "false":
        raise BadParameter(ENCRYPTED.format("params.isFileEncrypted"), parameter="isFileEncrypted")
    _recursive(selection)
    archive, sign, members = path.partition("!/")
    if sign and members and Form.of(selection.data).packing_of(archive).archive:
        return archive, members
    return path, None


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

"""Delimited text: CSV, TSV and their kin, in one explicit dialect. Nothing is sniffed."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO, cast

import duckdb

from headgate.dataplane import literal, quote
from headgate.errors import BadDelimiter, BadParameter, SourceObjectMissing, UnreadableRecord
from headgate.model.lake import Column
from headgate.rejects import cut
from headgate.sources.files.faults import not_utf8
from headgate.sources.files.form import Form, properties
from headgate.sources.files.layout import FILE, Layout, Scan, check_names, file_list
from headgate.sources.files.listing import opening
from headgate.sources.files.packing import Packing
from headgate.sources.files.text_types import FOUND, STRING, TextType
from headgate.sources.guard import REJECT, unless
from headgate.sources.interface import FileRef

__all__ = ["Dialect", "inspect", "is_gzip", "open_text", "readable"]

_SCANNED_WHOLE = 64 * 1024 * 1024
_SAMPLED_FILES = 32
_SAMPLED_ROWS = 20_000
_FIRST_ROWS = 1000
_TESTS_AT_ONCE = 150
_LONGEST_HEADER = 4 * 1024 * 1024

Header = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How delimited text is written that DuckDB reads, where it is or as a copy.

    `encoding` is utf-8 or latin-1; `gzip` holds whatever a file's name.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    gzip: bool = False
    header: bool = True

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Dialect":
        """The dialect that the `data` of a source connection describes.

        Raises BadDelimiter, BadFormat, BadParameter.
        """
        given = properties(data)
        delimiter = given.get("columnDelimiter", ",")
        if delimiter == "\\t":  # clients write the tabulator as two characters
            delimiter = "\t"
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
            raise BadDelimiter(
                f"`columnDelimiter` is {delimiter!r}; it must be one character, and no quote or line end."
            )
        header = {"true": True, "false": False}.get(str(given.get("header", True)).lower())
        if header is None:
            raise BadParameter("`header` must be true or false.", parameter="header")
        form = Form.of(data)
        gzip = form.packing == Packing("gzip") and form.in_place("")
        return cls(delimiter, "utf-8" if form.wide else form.encoding, gzip, header)

    def convert(self, type_: TextType, index: int, name: str, *, proven: bool) -> str:
        """SQL for the column `name`, the field at `index`, as `type_`.

        Unless all values are `proven` to fit, each is tested, and a failure says where to look.
        """
        if proven:
            return f"{type_.cast_sql(f'c{index}')} AS {quote(name)}"
        origin = {
            "index": index,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "header": self.header,
        }
        return f"{type_.sql(f'c{index}', name, json.dumps(origin))} AS {quote(name)}"

    def selected(
        self,
        header: "Header",
        names: Sequence[str],
        types: Mapping[str, TextType],
        proven: AbstractSet[str],
        rejecting: bool,
    ) -> tuple[str, str, str]:
        """What is selected of a file with `header`: the projection, and the reasons and the condition of a Scan."""
        texts = {name: f"c{header.index(name)}" for name in names}
        tested = [name for name in names if name not in proven] if rejecting else []
        reasons = "".join(types[name].reason_sql(texts[name], name) for name in tested)
        condition = unless(REJECT, {name: cut(texts[name]) for name in header}, rejecting=True, file=FILE)
        projection = ", ".join(
            self.convert(types[name], header.index(name), name, proven=rejecting or name in proven) for name in names
        )
        return projection, reasons, condition if reasons else ""

    def options(self, path: str, width: int) -> str:
        """The options of DuckDB's read_csv for the file at `path` with `width` columns, named c0, c1, …"""
        names = ", ".join(f"c{i}: 'VARCHAR'" for i in range(width))
        return (
            f"columns = {{{names}}}, auto_detect = false, header = {str(self.header).lower()}, "
            f"delim = {literal(self.delimiter)}, quote = '\"', escape = '\"', strict_mode = true, "
            f"nullstr = '', allow_quoted_nulls = false, null_padding = false, "
            f"encoding = {literal(self.encoding)}, "
            f"compression = {literal('gzip' if is_gzip(path, self.gzip) else 'none')}"
        )


def readable(connection: duckdb.DuckDBPyConnection, file: FileRef, dialect: Dialect) -> bool:
    """Whether every record of `file` can be read; duckdb.Error says of the first one why not. Raises SourceError."""
    if header := _header(file, dialect, errors="surrogateescape"):
        options = f"{dialect.options(file.path, len(header))}, hive_partitioning = false"
        connection.execute(f"SELECT count(COLUMNS(*)) FROM read_csv({file_list([file])}, {options})")
    return True


def is_gzip(path: str, always: bool) -> bool:
    """Whether the file at `path` is compressed: because all are, or by its name."""
    return always or path.lower().endswith(".gz")


@contextmanager
def _whole_gzip(path: str) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableRecord(f"{path} is not a complete gzip file: {error}.", path=path) from None


def inspect(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[FileRef],
    dialect: Dialect,
    declared: Mapping[str, TextType],
    held: Mapping[str, TextType] | None = None,
    *,
    glance: bool = False,
    rejecting: bool = False,
) -> Layout:
    """What `files` hold: columns by their headers, types as declared, or `held`, or else as all their values allow.

    Above 64 MB in all, or at a `glance`, types are found in a sample; none is looked at when all are known. Raises
    SourceError naming the file and line, or column.
    """
    headers = {file.path: header for file in files if (header := _header(file, dialect))}
    if not headers:
        return Layout((), {})
    first, names = next(iter(headers.items()))
    for path, header in headers.items():
        check_names(header, path)
        for one, other, here, there in ((header, names, path, first), (names, header, first, path)):
            if more := set(one) - set(other):
                raise UnreadableRecord(
                    f"{here} has the column {min(more)!r}, which {there} lacks. "
                    "All files of one run must have the same columns.",
                    path=path,
                )
    if missing := declared.keys() - set(names):
        raise SourceObjectMissing(
            f"{first} has no column {min(missing)!r}, which `params.columns` declares.", path=first
        )

    declared = {**{name: type_ for name, type_ in (held or {}).items() if name in names}, **declared}
    full = [file for file in files if file.path in headers]
    unknown = [name for name in names if name not in declared]
    whole = not glance and sum(file.size for file in full) <= _SCANNED_WHOLE
    samples = list(_samples(full, headers, dialect, whole)) if unknown else []
    types = {**declared, **_found_types(connection, samples, unknown)}
    proven = {name for name in unknown if whole}
    selected = {header: dialect.selected(header, names, types, proven, rejecting) for header in set(headers.values())}
    return Layout(
        tuple(Column(name, types[name].lake, "text") for name in names),
        {
            path: Scan("read_csv", dialect.options(path, len(names)), *selected[header])
            for path, header in headers.items()
        },
    )


def _header(file: FileRef, dialect: Dialect, *, errors: str = "strict") -> Header:
    """The columns of `file`, none when it is empty. One without a name is called by its place: `column1`."""
    with open_text(file.path, dialect.encoding, dialect.gzip, errors=errors) as text:
        lines = iter(lambda: text.readline(_LONGEST_HEADER), "")
        try:
            record = next(csv.reader(_bounded(lines), delimiter=dialect.delimiter, strict=True), None)
        except csv.Error as error:
            raise UnreadableRecord(f"{file.path}, line 1: {error}.", path=file.path) from None
    if record is None:
        return ()
    if not record:
        raise UnreadableRecord(f"{file.path} begins with an empty line.", path=file.path)
    return tuple(name if name and dialect.header else f"column{place}" for place, name in enumerate(record, 1))


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    size = 0
    for line in lines:
        size += len(line)
        if size >= _LONGEST_HEADER:
            raise csv.Error("the first record is longer than 4 MB")
        yield line


def _found_types(
    connection: duckdb.DuckDBPyConnection, samples: Sequence[tuple[Header, str]], names: Sequence[str]
) -> dict[str, TextType]:
    """The first type of FOUND that every value of a column fits; STRING where none does, or no value is.

    All are asked of the first rows; of all rows then the first one that those fit, and the others where that fails.
    """
    heads = [(header, f"(FROM {source} LIMIT {_FIRST_ROWS})") for header, source in samples]
    likely = _fitting(connection, heads, dict.fromkeys(names, FOUND))
    found = _fitting(
        connection, samples, {name: FOUND if types is None else types[:1] for name, types in likely.items()}
    )
    others = {name: (likely[name] or ())[1:] for name, types in found.items() if types == ()}
    found |= _fitting(connection, samples, others)
    return {name: next(iter(types or ()), STRING) for name, types in found.items()}


def _fitting(
    connection: duckdb.DuckDBPyConnection,
    samples: Sequence[tuple[Header, str]],
    asked: Mapping[str, tuple[TextType, ...]],
) -> dict[str, tuple[TextType, ...] | None]:
    """Those of the types asked for each column that every value fits; None where no value is."""
    names = [name for name, types in asked.items() if types]
    filled = dict.fromkeys(names, False)
    fitting = {name: [True] * len(types) for name, types in asked.items()}
    step = _TESTS_AT_ONCE // max((len(types) for types in asked.values() if types), default=1)
    for at in range(0, len(names), step):
        some = names[at : at + step]
        for header, source in samples:
            tests = ", ".join(_tests(f"c{header.index(name)}", asked[name]) for name in some)
            row = iter(connection.execute(f"SELECT {tests} FROM {source}").fetchone() or ())
            for name in some:
                filled[name] |= next(row)
                fitting[name] = [next(row) and before for before in fitting[name]]
    return {
        name: tuple(type_ for type_, fits in zip(types, fitting[name], strict=True) if fits)
        if filled.get(name, True)
        else None
        for name, types in asked.items()
    }


def _tests(column: str, types: Sequence[TextType]) -> str:
    filled = f"FILTER (WHERE {column} IS NOT NULL)"
    fits = (f", coalesce(bool_and({type_.fits_sql(column)}) {filled}, true)" for type_ in types)
    return f"count({column}) > 0{''.join(fits)}"


def _samples(
    files: Sequence[FileRef], headers: Mapping[str, Header], dialect: Dialect, whole: bool
) -> Iterator[tuple[Header, str]]:
    """What to look at, as a header and a relation each: the whole files, or the first rows of some."""
    if whole:
        groups: dict[tuple[Header, str], list[FileRef]] = {}
        for file in files:
            header = headers[file.path]
            groups.setdefault((header, dialect.options(file.path, len(header))), []).append(file)
        for (header, options), group in groups.items():
            yield header, f"read_csv({file_list(group)}, {options}, hive_partitioning = false)"
    else:
        for file in files[:: -(-len(files) // _SAMPLED_FILES)]:
            header = headers[file.path]
            scan = f"{file_list([file])}, {dialect.options(file.path, len(header))}"
            yield header, f"(FROM read_csv({scan}, hive_partitioning = false) LIMIT {_SAMPLED_ROWS})"


@contextmanager
def open_text(path: str, encoding: str, gzipped: bool, *, errors: str = "strict") -> Iterator[TextIO]:
    """The text of a file that may be compressed, byte order mark removed. Raises SourceError."""
    binary: Callable[..., Any] = gzip.open if is_gzip(path, gzipped) else io.open
    decoder = "utf-8-sig" if encoding == "utf-8" else encoding
    with opening(path):
        try:
            with (
                _whole_gzip(path),
                binary(path, "rb") as raw,
                io.TextIOWrapper(raw, decoder, errors, newline="") as text,
            ):
                yield cast(TextIO, text)
        except UnicodeDecodeError:
            raise not_utf8(path) from None

"""Parquet: types come from the footers, and every value is kept exactly or refused."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headgate.dataplane import literal, quote
from headgate.errors import BadParameter, UnholdableValue, UnreadableRecord, UnsupportedType
from headgate.model.lake import Column, Kind, LakeType
from headgate.rejects import cut
from headgate.sources.files.layout import FILE, Layout, Scan, check_names
from headgate.sources.files.listing import opening
from headgate.sources.files.text_types import TextType
from headgate.sources.guard import REJECT, reason, unless
from headgate.sources.interface import FileRef

__all__ = ["check_decrypted", "check_pages", "footer_size", "inspect"]

_MAGIC = b"PAR1"
_NEXT_I32 = b"\x15"  # the member after the last one, a 32-bit integer

_SIMPLE: dict[pa.DataType, Kind] = {
    pa.bool_(): "boolean",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.uint8(): "int",
    pa.uint16(): "int",
    pa.uint32(): "long",
    pa.int64(): "long",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.string_view(): "string",
    pa.binary(): "binary",
    pa.large_binary(): "binary",
    pa.binary_view(): "binary",
    pa.date32(): "date",
    pa.date64(): "date",
    pa.time32("s"): "time",
    pa.time32("ms"): "time",
    pa.time64("us"): "time",
    pa.time64("ns"): "time",
    pa.null(): "string",
}
_MOST_UNEVEN = 1000
_FINER = "which is more than the whole microseconds that the lake keeps"
_Uneven = dict[int, tuple[str, int]]  # by place of a row: the column that holds such a time, and how many nanoseconds
_WIDER = {("int", "long"), ("float", "double")}


def inspect(
    files: Sequence[FileRef], declared: Mapping[str, TextType], *, glance: bool = False, rejecting: bool = False
) -> Layout:
    """What `files` hold. A column that a file lacks is NULL there; int widens to long and float to double.

    At a `glance` no values are looked at. Raises SourceError naming the file, or the file and the column.
    """
    uneven: dict[str, _Uneven] = {file.path: {} for file in files} if rejecting else {}
    schemas = {file.path: _schema(file.path, glance, uneven.get(file.path)) for file in files}
    columns: dict[str, LakeType] = {}
    for path, schema in schemas.items():
        check_names(schema.names, path)
        for field in schema:
            found = _lake_type(field.type, field.name, path)
            known = columns.get(field.name)
            wider = found if known is None else _wider(known, found)
            if wider is None:
                raise UnreadableRecord(
                    f"{path} has the column {field.name!r} as {found}, other files as {known}.",
                    path=path,
                    column=field.name,
                )
            columns[field.name] = wider
    for name, type_ in declared.items():
        if name in columns and _wider(columns[name], type_.lake) != type_.lake:
            raise BadParameter(
                f"`params.columns` declares {name!r} as {type_.lake}, the Parquet files hold {columns[name]}.",
                parameter="columns",
            )
        columns[name] = type_.lake
    check_names(list(columns), "The selection")
    return Layout(
        tuple(Column(name, type_, "parquet") for name, type_ in columns.items()),
        {path: _scan(columns, schema, uneven.get(path, {})) for path, schema in schemas.items()},
    )


def check_pages(file: FileRef) -> None:
    """Hold the pages of a Parquet file against their checksums, which DuckDB does not read; other files pass.

    A flipped bit would else be taken for a value. Files without checksums cost one look. Raises UnreadableRecord.
    """
    with opening(file.path), Path(file.path).open("rb") as content:
        if content.read(len(_MAGIC)) != _MAGIC or not _has_checksums(content):
            return
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as whole:
            for _ in whole.iter_batches(batch_size=8192):
                pass
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableRecord(f"{file.path} is damaged: {error}", path=file.path) from error


def footer_size(end: bytes, file: FileRef) -> int:
    """How many bytes at the end of `file`, whose last eight are `end`, tell its columns. Raises UnreadableRecord."""
    size = int.from_bytes(end[:4], "little") + len(end)
    if end[4:] != _MAGIC or size > file.size:
        raise UnreadableRecord(f"{file.path} is not a readable Parquet file.", path=file.path)
    return size


def check_decrypted(file: FileRef) -> None:
    """Raises UnreadableRecord for a file with encrypted columns, whose footer may be read by anyone.

    DuckDB says no more than that it cannot read them, and pyarrow ends the process when asked about such a column.
    """
    with opening(file.path):
        try:
            with pq.ParquetFile(file.path) as whole:
                next(whole.iter_batches(batch_size=1), None)
        except (pa.ArrowException, OSError) as error:
            if "decrypt" in str(error):
                raise UnreadableRecord(
                    f"{file.path} has encrypted columns; encrypted files are not read.", path=file.path
                ) from None


def _has_checksums(content: BinaryIO) -> bool:
    """Whether the first page's header has its fourth member, the CRC.

    The header is a Thrift struct in the compact protocol: three integers (type, sizes) of one byte of type and a
    varint each, then the CRC in the same form, or a struct. https://parquet.apache.org/docs/file-format/data-pages/
    """
    for _ in range(3):
        if content.read(1) != _NEXT_I32:
            return False
        while (content.read(1) or b"\0")[0] & 0x80:
            pass
    return content.read(1) == _NEXT_I32


def _scan(columns: Mapping[str, LakeType], schema: pa.Schema, uneven: "_Uneven") -> Scan:
    present = set(schema.names)
    projection = ", ".join(
        f"CAST({quote(name) if name in present else 'NULL'} AS {type_.sql}) AS {quote(name)}"
        for name, type_ in columns.items()
    )
    if not uneven:
        return Scan("read_parquet", "union_by_name = false", projection)
    reasons = []
    for row, (name, nanoseconds) in uneven.items():
        before, after = reason(name, _FINER, "Round it at the source, or leave the column out with a mapping set.")
        words = f"{before}a time of {nanoseconds} nanoseconds{after}"
        reasons.append(f" WHEN file_row_number = {row} THEN {literal(words)}")
    record = {
        name: cut(quote(name)) if type_.kind == "string" else quote(name)
        for name, type_ in columns.items()
        if name in present
    }
    return Scan(
        "read_parquet",
        "union_by_name = false, file_row_number = true",
        projection,
        "".join(reasons),
        unless(REJECT, record, rejecting=True, file=FILE),
    )


def _schema(path: str, glance: bool, uneven: "_Uneven | None") -> pa.Schema:
    """The schema of one file, after a look at the values that DuckDB would truncate without a word.

    Rows with such a value are added to `uneven`; without it they are an error.
    """
    with opening(path):
        try:
            with pq.ParquetFile(path) as file:
                schema = file.schema_arrow
                fine = [field.name for field in schema if _has_nanoseconds(field.type) and not glance]
                before = 0
                for batch in file.iter_batches(columns=fine) if fine else ():
                    for name, column in zip(batch.schema.names, batch.columns, strict=True):
                        if uneven is not None and not pa.types.is_nested(column.type):
                            uneven |= {before + row: (name, value) for row, value in _uneven(column)}
                        else:
                            _check_nanoseconds(column, name, path)
                    before += batch.num_rows
                    if uneven is not None and len(uneven) > _MOST_UNEVEN:
                        raise UnholdableValue(
                            f"{path}: more than {_MOST_UNEVEN} rows hold times of other than whole microseconds, which "
                            "is as many as can be left out of a file. Round them at the source.",
                            path=path,
                        )
        except (pa.ArrowException, OverflowError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the system's refusal; pyarrow's own complaints carry no number
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableRecord(f"{path} is not a readable Parquet file: {told}", path=path) from None
    return schema


def _uneven(values: pa.Array) -> Iterator[tuple[int, int]]:
    """The places and values of times that are no whole microseconds."""
    numbers = values.cast(pa.int64())
    finer = pc.fill_null(pc.not_equal(numbers, pc.multiply(pc.divide(numbers, 1000), 1000)), False)
    for row in pc.indices_nonzero(finer).to_pylist():
        yield row, numbers[row].as_py()


def _has_nanoseconds(type_: pa.DataType) -> bool:
    if pa.types.is_nested(type_):
        return any(_has_nanoseconds(type_.field(i).type) for i in range(type_.num_fields))
    return bool((pa.types.is_timestamp(type_) or pa.types.is_time64(type_)) and type_.unit == "ns")


def _check_nanoseconds(values: pa.Array, name: str, path: str) -> None:
    if pa.types.is_struct(values.type):
        for part in values.flatten():
            _check_nanoseconds(part, name, path)
    elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        _check_nanoseconds(values.flatten(), name, path)
    elif _has_nanoseconds(values.type):
        for _, nanoseconds in _uneven(values):
            raise UnholdableValue(
                f"{path}: the column {name!r} holds a time of {nanoseconds} nanoseconds; the lake keeps whole "
                "microseconds.",
                path=path,
                column=name,
            )


def _lake_type(type_: pa.DataType, name: str, path: str) -> LakeType:
    if isinstance(type_, pa.UuidType):
        return LakeType("uuid")
    if isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_timestamp(type_):
        return LakeType("timestamptz" if type_.tz else "timestamp")
    if type_ == pa.uint64():
        return LakeType("decimal", 20, 0)
    if pa.types.is_decimal(type_) and type_.precision <= 38:
        return LakeType("decimal", type_.precision, type_.scale)
    if pa.types.is_fixed_size_binary(type_):
        return LakeType("binary")
    if pa.types.is_struct(type_):
        fields = [type_.field(i) for i in range(type_.num_fields)]
        check_names([field.name for field in fields], f"{path}: the column {name!r}")
        return LakeType("struct", fields=tuple((f.name, _lake_type(f.type, f"{name}.{f.name}", path)) for f in fields))
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return LakeType("list", element=_lake_type(type_.value_type, f"{name}[]", path))
    kind = _SIMPLE.get(type_)
    if kind is None:
        raise UnsupportedType(
            f"{path} has the column {name!r} of the type {type_}, which the lake cannot hold unchanged.",
            path=path,
            column=name,
        )
    return LakeType(kind)


def _wider(one: LakeType, other: LakeType) -> LakeType | None:
    if one == other or (other.kind, one.kind) in _WIDER:
        return one
    return other if (one.kind, other.kind) in _WIDER else None

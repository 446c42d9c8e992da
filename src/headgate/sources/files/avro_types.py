"""The types of Avro: which lake types they take, and how the bare values that DuckDB decodes become theirs.

https://avro.apache.org/docs/1.12.0/specification/
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from headgate.errors import UnholdableValue, UnreadableRecord, UnsupportedType
from headgate.sources.files.layout import check_names

__all__ = ["Type", "columns_of"]

Convert = Callable[[pa.Array], pa.Array]
_DAY_MS = 86_400_000
_MOST_PARTS = 20_000
_DEEPEST = 64
_KINDS = ("null", "record", "array", "map", "enum", "fixed")
_PLAIN: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_VIEWED: dict[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
}
_CLOCKS: dict[tuple[str, str], tuple[pa.DataType, int]] = {
    ("int", "time-millis"): (pa.time32("ms"), _DAY_MS),
    ("long", "time-micros"): (pa.time64("us"), _DAY_MS * 1000),
}


@dataclass(frozen=True, slots=True)
class Type:
    """A type of Avro: as a schema without logical types and names that mean something, and as values of Arrow."""

    bare: Any
    arrow: pa.DataType
    convert: Convert | None = None

    def values(self, bare: pa.Array) -> pa.Array:
        """What `bare`, as it was decoded, stands for. Raises UnreadableRecord, UnholdableValue."""
        return bare if self.convert is None else self.convert(bare)


def columns_of(schema: Any, file: str) -> dict[str, Type]:
    """The columns of the records in `file`, by name.

    Raises UnsupportedType for what the lake cannot hold, by its name; UnreadableRecord for what is no schema.
    """
    reader = _Schema(file)
    try:
        if schema["type"] == "record":
            return reader.fields(schema, schema["fields"], "", (), "")
    except (KeyError, TypeError, AttributeError):
        pass
    raise UnreadableRecord(f"{file} has no records, or no schema that tells of them.", path=file)


class _Schema:
    """Reads one schema, in which types that have a name may be used again."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._named: dict[str, tuple[Any, str]] = {}  # with the namespace that its own names are in
        self._numbers = count()

    def fields(
        self, record: Mapping[str, Any], fields: Sequence[Any], path: str, inside: tuple[str, ...], space: str
    ) -> dict[str, Type]:
        """The fields of a record, by name."""
        full, inner = self._name(record, space)
        found = {}
        names = [str(field["name"]) for field in fields]
        if not names:
            raise UnsupportedType(f"{self._file}: {path or 'the record'} has no fields.", path=self._file)
        check_names(names, f"{self._file}: the record {path!r}" if path else self._file)
        for name, field in zip(names, fields, strict=True):
            found[name] = self._type(field["type"], f"{path}.{name}" if path else name, (*inside, full), inner)
        return found

    def _name(self, schema: Mapping[str, Any], space: str) -> tuple[str, str]:
        """The full name of a type that has one, which is kept, and the namespace of those in it."""
        name, own = str(schema["name"]), schema.get("namespace", space)
        full = name if "." in name or not own else f"{own}.{name}"
        self._named[full] = schema, space
        return full, full.rpartition(".")[0]

    def _type(self, schema: Any, path: str, inside: tuple[str, ...], space: str) -> Type:
        if next(self._numbers) > _MOST_PARTS or len(inside) > _DEEPEST:
            self._refuse(path, "is part of a schema that is too large")
        if isinstance(schema, list):
            some = [branch for branch in schema if branch not in ("null", {"type": "null"})]
            if len(some) > 1:
                self._refuse(path, "is a union of several types")
            if not some:
                return Type(["null"], pa.string(), lambda bare: pa.nulls(len(bare), pa.string()))
            inner = self._type(some[0], path, inside, space)
            bare = [inner.bare if branch is some[0] else "null" for branch in schema]
            return Type(bare, inner.arrow, inner.convert)  # of one type too: the place in the union is written
        if isinstance(schema, str):
            if schema in _PLAIN or schema == "null":
                return self._simple(schema, {}, path)
            full = schema if "." in schema or not space else f"{space}.{schema}"
            full = full if full in self._named else schema
            if full in inside:
                self._refuse(path, f"holds itself (the type {full})")
            again, where = self._named[full]
            return self._type(again, path, inside, where)
        kind = schema["type"]
        if not isinstance(kind, str) or (kind not in _PLAIN and kind not in _KINDS):
            return self._type(kind, path, (*inside, ""), space)
        if kind == "record":
            return self._record(schema, path, inside, space)
        if kind == "array":
            return _listed(self._type(schema["items"], f"{path}[]", (*inside, ""), space))
        if kind == "map":
            self._refuse(path, "is a map")
        if kind == "enum":
            self._name(schema, space)
            return _enumerated([str(symbol) for symbol in schema["symbols"]], path, self._file)
        if kind == "fixed":
            self._name(schema, space)
        return self._simple(kind, schema, path)

    def _record(self, schema: Any, path: str, inside: tuple[str, ...], space: str) -> Type:
        fields = self.fields(schema, schema["fields"], path, inside, space)
        arrow = [pa.field(name, type_.arrow) for name, type_ in fields.items()]
        types = [*fields.values()]

        def convert(bare: pa.Array) -> pa.Array:
            parts = [type_.values(part) for type_, part in zip(types, bare.flatten(), strict=True)]
            return pa.StructArray.from_arrays(parts, fields=arrow, mask=pc.is_null(bare))

        bare = {"type": "record", "name": self._fresh(), "fields": bare_fields(types)}
        return Type(bare, pa.struct(arrow), convert)

    def _simple(self, kind: str, schema: Mapping[str, Any], path: str) -> Type:
        logical = str(schema.get("logicalType"))
        bare: Any = kind
        if kind == "null":
            return Type("null", pa.string(), lambda bare: pa.nulls(len(bare), pa.string()))
        if kind == "fixed":
            bare = {"type": "fixed", "name": self._fresh(), "size": schema["size"]}
        if arrow := _VIEWED.get((kind, logical)):
            return Type(bare, arrow, lambda values: values.view(arrow))
        if clock := _CLOCKS.get((kind, logical)):
            return Type(bare, clock[0], lambda values: _clock(values, *clock, path, self._file))
        if logical == "decimal" and kind in ("bytes", "fixed"):
            precision, scale = schema["precision"], schema.get("scale", 0)
            if not 0 <= scale <= precision <= 38 or not precision:
                self._refuse(path, f"is a decimal of {precision} digits, {scale} of them decimals")
            decimal = pa.decimal128(precision, scale)
            return Type(bare, decimal, lambda values: _decimals(values, decimal, path, self._file))
        if logical == "uuid" and (kind == "string" or schema.get("size") == 16):
            return Type(bare, pa.uuid(), lambda values: _uuids(values, path, self._file))
        return Type(bare, _PLAIN.get(kind, pa.binary()))

    def _fresh(self) -> str:
        return f"t{next(self._numbers)}"

    def _refuse(self, path: str, why: str) -> NoReturn:
        raise UnsupportedType(
            f"{self._file}: the field {path!r} {why}, which the lake cannot hold unchanged.",
            path=self._file,
            column=path,
        )


def bare_fields(types: Sequence[Type]) -> list[dict[str, Any]]:
    """The fields of a record without their names."""
    return [{"name": f"c{place}", "type": type_.bare} for place, type_ in enumerate(types)]


def _listed(element: Type) -> Type:
    arrow = pa.list_(element.arrow)

    def convert(bare: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(bare.offsets, element.values(bare.values), type=arrow, mask=pc.is_null(bare))

    return Type({"type": "array", "items": element.bare}, arrow, convert)


def _enumerated(symbols: list[str], path: str, file: str) -> Type:
    """An enum: written as the place of the symbol, so that is what is decoded."""

    def convert(bare: pa.Array) -> pa.Array:
        try:
            return pa.DictionaryArray.from_arrays(bare, symbols).cast(pa.string())
        except (pa.ArrowException, IndexError):
            raise UnreadableRecord(f"{file}: {path} holds a symbol that its enum does not have.", path=file) from None

    return Type("int", pa.string(), convert)


def _clock(bare: pa.Array, type_: pa.DataType, day: int, path: str, file: str) -> pa.Array:
    bounds = pc.min_max(bare).as_py()
    for value in (bounds["min"], bounds["max"]):
        if value is not None and not 0 <= value < day:
            raise UnholdableValue(
                f"{file}: the column {path!r} holds {value}, which is no time of a day.", path=file, column=path
            )
    return bare.view(type_)


def _decimals(bare: pa.Array, type_: pa.DataType, path: str, file: str) -> pa.Array:
    """Numbers in two's complement, most significant byte first, of any length."""
    try:
        numbers = [int.from_bytes(value, "big", signed=True) if value else 0 for value in bare.to_pylist()]
        data = b"".join([number.to_bytes(16, "little", signed=True) for number in numbers])
        valid = pc.if_else(pc.is_valid(bare), True, False).buffers()[1]
        decimals = pa.Array.from_buffers(type_, len(bare), [valid, pa.py_buffer(data)])
        decimals.validate(full=True)
    except (OverflowError, pa.ArrowInvalid):
        raise UnholdableValue(
            f"{file}: the column {path!r} holds a number of more digits than the {type_.precision} of its type.",
            path=file,
            column=path,
        ) from None
    return decimals


def _uuids(bare: pa.Array, path: str, file: str) -> pa.Array:
    storage = bare
    if pa.types.is_string(bare.type):
        storage = pa.array([_uuid(text, path, file) for text in bare.to_pylist()], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage.cast(pa.binary(16)))


def _uuid(text: str | None, path: str, file: str) -> bytes | None:
    if text is None:
        return None
    try:
        value = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        value = b""
    if len(value) != 16 or len(text) not in (32, 36):
        raise UnholdableValue(
            f"{file}: the column {path!r} holds {text[:60]!r}, which is no uuid.", path=file, column=path
        )
    return value

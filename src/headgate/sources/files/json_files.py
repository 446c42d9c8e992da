"""JSON: objects by lines, one after the other or in one array. Types come from all values of all planned files."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from headgate.dataplane import literal, quote
from headgate.errors import UnholdableValue, UnreadableRecord, UnsupportedType
from headgate.model.lake import Column, LakeType
from headgate.rejects import cut
from headgate.sources.files.delimited import Dialect, is_gzip, open_text
from headgate.sources.files.layout import FILE, Layout, Scan, check_names, file_list
from headgate.sources.files.text_types import TextType
from headgate.sources.guard import REJECT, unless
from headgate.sources.interface import FileRef

__all__ = ["inspect", "readable"]

# What a value or many of them are. A dict is an object, a list of one shape an array, None nothing but null.
# "small" are the integers that a double holds exactly, "wide" the other 64-bit ones, "huge" those of up to 38
# digits and "endless" those of more.
Shape = None | str | dict[str, Any] | list[Any]

_OF_STRUCTURE = {
    "NULL": None,
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "UBIGINT": "small",
    "BIGINT": "small",
}
_INTEGERS = ["small", "wide", "huge", "endless"]
_LAKE = {
    "boolean": LakeType("boolean"),
    "string": LakeType("string"),
    "small": LakeType("long"),
    "wide": LakeType("long"),
    "huge": LakeType("decimal", 38, 0),
    "endless": LakeType("string"),
    "double": LakeType("double"),
}
_WORDS = {
    "boolean": "a boolean",
    "string": "a string",
    "small": "an integer",
    "wide": "an integer above 2^53",
    "huge": "an integer above 2^63",
    "endless": "an integer of more than 38 digits",
    "double": "a fraction",
}
_DEEPEST = 64
_GLANCED = 20_000
_HEAD = 1024 * 1024  # characters of the first records that tell how they follow one another
# What DuckDB's summary of a record cannot tell apart: integers a double changes, numbers beyond a double, and
# empty objects or mixed arrays. Such records are looked at one by one.
_TELLING = r"[0-9]{16}|[eE]\+?[0-9]{3}"
# DuckDB descends into a record by recursion, and one that is nested some ten thousand times ends the process. So it
# is given none that opens so many brackets before Python has seen how deep they lie.
_MOST_BRACKETS = 4000
_BRACKETED = (
    f"(strlen(json::VARCHAR) > {_MOST_BRACKETS} AND "
    f"strlen(json::VARCHAR) - strlen(translate(json::VARCHAR, '[{{', '')) > {_MOST_BRACKETS})"
)


def inspect(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[FileRef],
    gzip: bool,
    declared: Mapping[str, TextType],
    *,
    glance: bool = False,
    rejecting: bool = False,
) -> Layout:
    """What `files` hold, or at a `glance` the first records of each group; declared fields are read as text.

    Raises SourceError.
    """
    options = {file.path: found for file in files if (found := _options(file, gzip))}
    shape: dict[str, Any] = dict.fromkeys(declared)
    groups: dict[str, list[FileRef]] = {}
    for file in files:
        if file.path in options:
            groups.setdefault(options[file.path], []).append(file)
    for option, group in groups.items():
        source = f"read_json_objects({file_list(group)}, {option}, hive_partitioning = false)"
        if glance:
            source = f"(SELECT json, file_index FROM {source} LIMIT {_GLANCED})"
        _observe(connection, source, group, shape, declared)
    if not groups:
        return Layout((), {})
    check_names(list(shape), files[0].path)
    found_types = {name: _lake_type(found, name) for name, found in shape.items() if name not in declared}
    types = {name: type_.lake for name, type_ in declared.items()} | found_types
    columns = tuple(Column(name, type_, "json") for name, type_ in types.items())
    if not columns:
        return Layout((), {})
    keys = ", ".join(
        f"{literal(name)}: {literal('VARCHAR' if name in declared else type_.sql)}" for name, type_ in types.items()
    )
    converted = {
        name: declared[name].cast_sql(quote(name)) if rejecting else declared[name].sql(quote(name), name)
        for name in types
        if name in declared
    }
    projection = ", ".join(f"{converted.get(name, quote(name))} AS {quote(name)}" for name in types)
    reasons = "".join(declared[name].reason_sql(quote(name), name) for name in converted) if rejecting else ""
    record = {name: cut(quote(name)) if type_.kind == "string" else quote(name) for name, type_ in types.items()}
    condition = unless(REJECT, record, rejecting=True, file=FILE) if reasons else ""
    return Layout(
        columns,
        {
            path: Scan(
                "read_json", f"columns = {{{keys}}}, auto_detect = false, {option}", projection, reasons, condition
            )
            for path, option in options.items()
        },
    )


def readable(connection: duckdb.DuckDBPyConnection, file: FileRef, dialect: Dialect) -> bool:
    """Whether every line of `file` holds an object; duckdb.Error says why not. What is not by lines is taken whole."""
    option = _options(file, dialect.gzip, errors="surrogateescape")
    if option is None or "newline_delimited" not in option:
        return True
    source = f"read_json_objects({file_list([file])}, {option}, hive_partitioning = false)"
    [objects] = connection.execute(f"SELECT bool_and(json_type(json) = 'OBJECT') FROM {source}").fetchall()[0]
    return objects is not False


def _options(file: FileRef, gzip: bool, *, errors: str = "strict") -> str | None:
    """How DuckDB reads `file`; None when nothing is in it. The first character tells an array from lines."""
    with open_text(file.path, "utf-8", gzip, errors=errors) as text:
        while (start := text.read(1)).isspace():
            pass
        rest = text.read(_HEAD) if start == "{" else ""
    if not start:
        return None
    if start not in "[{":
        raise UnreadableRecord(
            f"{file.path} begins with {start!r}; a JSON file holds an object per line, or an array of them.",
            path=file.path,
        )
    packed = "gzip" if is_gzip(file.path, gzip) else "uncompressed"
    form = "array" if start == "[" else "unstructured" if _runs_on(start + rest) else "newline_delimited"
    return f"format = {literal(form)}, compression = {literal(packed)}"


def _runs_on(head: str) -> bool:
    """Whether the first record goes on in the next line, or another one follows it in the same."""
    try:
        _, end = json.JSONDecoder().raw_decode(head)
    except RecursionError:
        return False
    except ValueError:  # no JSON, or longer than the head
        first = head.partition("\n")[0].strip()
        return len(head) > _HEAD and first != head.strip() and not first.endswith("}")
    return "\n" in head[:end].strip() or head[end:].partition("\n")[0].lstrip().startswith("{")


def _observe(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    files: Sequence[FileRef],
    shape: dict[str, Any],
    declared: Mapping[str, TextType],
) -> None:
    """Widen `shape` by every record of `source`."""
    telling = f"regexp_matches(json::VARCHAR, {literal(_TELLING)})"
    structure = f"json_structure(CASE WHEN {_BRACKETED} THEN NULL ELSE json END)::VARCHAR"
    unclear = f"contains({structure}, '\"JSON\"')"
    summary = connection.execute(
        f"SELECT structure, telling, min(file_index) FROM (SELECT {structure} AS structure, "
        f"{telling} AS telling, file_index FROM {source}) GROUP BY ALL ORDER BY 3, 1"
    )
    closer = set()
    while rows := summary.fetchmany(1000):
        for text, tells, index in rows:
            if text is None:
                closer.add(_BRACKETED)
            elif tells or '"JSON"' in text:
                closer.add(telling if tells else unclear)
            else:
                fields = _fields(text, files[index].path)
                _widen(shape, {k: _of_structure(v) for k, v in fields.items()}, declared)
    if not closer:
        return
    told = connection.sql(f"SELECT json::VARCHAR, file_index FROM {source} WHERE {' OR '.join(sorted(closer))}")
    for batch in told.to_arrow_reader(1000):
        for text, index in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            fields = _fields(text, files[index].path)
            _widen(shape, {k: _of_value(v, k) for k, v in fields.items() if k not in declared}, declared)


def _fields(text: str, path: str) -> dict[str, Any]:
    try:
        record = json.loads(text, parse_float=_Fraction)
    except RecursionError:
        raise UnsupportedType(f"{path} holds a record that is nested too deeply.", path=path) from None
    except ValueError as error:
        raise UnreadableRecord(f"{path} holds a record that is not JSON: {error}.", path=path) from None
    if not isinstance(record, dict):
        raise UnreadableRecord(f"{path} holds a record that is not an object.", path=path)
    return record


class _Fraction(float):
    """A number written with a fraction or an exponent; `text` is how."""

    def __init__(self, text: str) -> None:
        self.text = text


def _widen(shape: dict[str, Any], fields: Mapping[str, Shape], declared: Mapping[str, TextType]) -> None:
    for name, found in fields.items():
        if name not in declared:
            shape[name] = _merged(shape.get(name), found, name)


def _of_structure(structure: Any) -> Shape:
    if isinstance(structure, dict):
        return {name: _of_structure(part) for name, part in structure.items()}
    if isinstance(structure, list):
        return [_of_structure(structure[0]) if structure else None]
    return _OF_STRUCTURE.get(structure, "double")


def _of_value(value: Any, name: str) -> Shape:
    if value is None:
        return None
    if isinstance(value, dict):
        return {key: _of_value(part, f"{name}.{key}") for key, part in value.items()}
    if isinstance(value, list):
        element: Shape = None
        for part in value:
            element = _merged(element, _of_value(part, f"{name}[]"), f"{name}[]")
        return [element]
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        if abs(value) <= 2**53:
            return "small"
        return "wide" if -(2**63) <= value < 2**63 else "huge" if abs(value) < 10**38 else "endless"
    if isinstance(value, _Fraction) and value in (float("inf"), float("-inf")):
        raise UnholdableValue(
            f"The field {name!r} holds {value.text[:60]}, which is beyond a double; "
            "declare the field as string in `params.columns`.",
            column=name,
        )
    return "double"


def _merged(one: Shape, other: Shape, name: str) -> Shape:
    if one is None or one == other:
        return other
    if other is None:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            **one,
            **{key: _merged(one.get(key), part, f"{name}.{key}") for key, part in other.items()},
        }
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0], f"{name}[]")]
    if one in _INTEGERS and other in _INTEGERS:
        return max(one, other, key=_INTEGERS.index)
    if {str(one), str(other)} == {"small", "double"}:
        return "double"
    raise UnholdableValue(
        f"The field {name!r} holds {_spoken(one)} in one record and {_spoken(other)} in another; "
        "declare it as string in `params.columns`.",
        column=name,
    )


def _spoken(shape: Shape) -> str:
    if isinstance(shape, dict):
        return "an object"
    if isinstance(shape, list):
        return "an array"
    return _WORDS[str(shape)]


def _lake_type(shape: Shape, name: str, depth: int = 1) -> LakeType:
    if depth > _DEEPEST:
        raise UnsupportedType(f"The field {name[:200]!r} is nested deeper than {_DEEPEST} levels.")
    if isinstance(shape, list):
        return LakeType("list", element=_lake_type(shape[0], f"{name}[]", depth + 1))
    if isinstance(shape, dict) and shape:
        check_names(list(shape), f"The field {name!r}")
        return LakeType(
            "struct",
            fields=tuple((key, _lake_type(part, f"{name}.{key}", depth + 1)) for key, part in shape.items()),
        )
    # Null and {} say nothing about a type; text holds both.
    return _LAKE[shape] if isinstance(shape, str) else LakeType("string")

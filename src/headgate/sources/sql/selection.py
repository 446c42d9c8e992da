"""Reads a source connection's `params`: which table, which of its columns, and decimals declared for them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.errors import BadParameter, ParameterMissing, SourceObjectMissing, UnsupportedType
from headgate.model.lake import LakeType
from headgate.sources.interface import Selection

__all__ = ["Choice", "Name", "choices", "chosen", "path_of", "table_names"]

_PART = r'(?:"(?:[^"]|"")+"|[^".]+)'
_NAMES = {
    2: re.compile(rf"(?P<schema>(?:{_PART})\.)?(?P<table>{_PART})"),
    3: re.compile(rf"(?P<database>(?:{_PART})\.(?={_PART}\.))?(?P<schema>(?:{_PART})\.)?(?P<table>{_PART})"),
}
_DECIMAL = re.compile(r"(?i)(?:decimal|numeric)\s*\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\)")
_RESERVED = "_headgate_"


@dataclass(frozen=True, slots=True)
class Name:
    """A table's name and, where they were given, its schema's and its database's."""

    table: str
    schema: str | None = None
    database: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen column and, where the selection declares one, its decimal type."""

    name: str
    decimal: LakeType | None = None


def table_names(selection: Selection, *, parts: int = 2, fold: Callable[[str], str] = str.lower) -> tuple[Name, ...]:
    """What `params.tableName` may mean, the likeliest first; the first that exists is meant.

    `schema.table` or `table`, and with three `parts` also `database.schema.table`; a part in double quotes is taken as
    it stands, another one as it stands and then as the system takes it by `fold`. A name with dots or quotes of its own
    is tried whole at last. Raises ParameterMissing, BadParameter.
    """
    if selection.params.get("cdcEnabled") not in (None, False, "false"):
        raise BadParameter("params.cdcEnabled is not offered by this source; leave it out.", field="cdcEnabled")
    text = selection.params.get("tableName")
    if not isinstance(text, str) or not text.strip():
        raise ParameterMissing("params.tableName is missing. Send the table's name, as schema.table or table.")
    if "\0" in text:
        raise BadParameter("params.tableName holds a zero character.", field="tableName")
    names: list[Name] = []
    if found := _NAMES[parts].fullmatch(text):
        given = {role: part.removesuffix(".") for role, part in found.groupdict().items() if part}
        given["table"] = found["table"]
        names.append(Name(**{role: _plain(part) for role, part in given.items()}))
        names.append(
            Name(**{role: _plain(part) if part.startswith('"') else fold(part) for role, part in given.items()})
        )
    names.append(Name(text))
    return tuple(dict.fromkeys(names))


def path_of(table: str, schema: str | None = None, database: str | None = None) -> str:
    """The `params.tableName` that means exactly this table."""
    return ".".join(
        part if re.fullmatch(r'[^".]+', part) else '"' + part.replace('"', '""') + '"'
        for part in (database, schema, table)
        if part is not None
    )


def choices(selection: Selection) -> tuple[Choice, ...]:
    """What `params.columns` lists; nothing when it is absent. Raises BadParameter for a malformed list."""
    declared = selection.params.get("columns")
    if not declared:
        return ()
    if not isinstance(declared, list | tuple):
        raise BadParameter('params.columns must be a list such as [{"name": "id"}].', field="columns")
    return tuple(_choice(entry) for entry in declared)


def chosen(selection: Selection, available: Sequence[str], table: str) -> tuple[Choice, ...]:
    """The columns that `params.columns` chooses from `available`, in its order; all of them when it is absent.

    Raises SourceObjectMissing for an unknown column, UnsupportedType for names that the lake cannot have,
    BadParameter for a malformed list.
    """
    found = choices(selection) or tuple(Choice(name) for name in available)
    seen: dict[str, str] = {}
    for choice in found:
        if choice.name not in available:
            raise SourceObjectMissing(f"{table} has no column {choice.name!r}.", column=choice.name)
        if choice.name.lower().startswith(_RESERVED):
            raise UnsupportedType(
                f"The column {choice.name!r} of {table} begins with {_RESERVED!r}, which is reserved for the "
                "lake's own columns. Leave it out with params.columns.",
                column=choice.name,
            )
        if (twin := seen.setdefault(choice.name.lower(), choice.name)) != choice.name:
            raise UnsupportedType(
                f"The columns {twin!r} and {choice.name!r} of {table} differ in case only, which the lake cannot "
                "hold. Leave one out with params.columns.",
                column=choice.name,
            )
    if len(seen) != len(found):
        raise BadParameter("params.columns names a column twice.", field="columns")
    return found


def _choice(entry: object) -> Choice:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise BadParameter('params.columns must be a list such as [{"name": "id"}].', field="columns")
    name: Any = entry["name"]
    declared = entry.get("type")
    found = _DECIMAL.fullmatch(declared.strip()) if isinstance(declared, str) else None
    if not found:
        return Choice(name)  # any other type is the source's to say
    precision, scale = int(found[1]), int(found[2] or 0)
    if not (1 <= precision <= 38 and scale <= precision):
        raise BadParameter(
            f"params.columns declares {declared!r} for {name!r}; a decimal has 1 to 38 digits, "
            "and no more decimals than digits.",
            field="columns",
        )
    return Choice(name, LakeType("decimal", precision, scale))


def _plain(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part

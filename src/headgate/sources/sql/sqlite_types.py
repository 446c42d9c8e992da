"""SQLite's declared types as the lake holds them: the table, and how each column is read exactly.

SQLite types values, not columns. The declared type says what a column's values must be; a value that is something
else is refused by name, never converted. Every value travels as text that DuckDB casts back exactly.

| declared type (any case) | lake | values |
|---|---|---|
| contains INT | long | integers |
| BOOL, BOOLEAN | boolean | 0 and 1 |
| contains REAL, FLOA or DOUB | double | reals; integers up to 2^53 |
| DECIMAL(p,s), NUMERIC(p,s), p <= 38 | decimal(p,s) | integers, and reals whose 15 digits are exact and fit |
| DECIMAL, NUMERIC of another shape | double | as REAL; or the decimal that `params.columns` declares |
| contains CHAR, CLOB, TEXT or STRING; JSON, UUID | string | text; integers as their digits |
| contains BLOB | binary | blobs |
| DATE | date | `yyyy-MM-dd` |
| TIME | time | `HH:mm`, `HH:mm:ss`, up to 6 decimals |
| TIMESTAMP, DATETIME | timestamp | `yyyy-MM-dd[ HH:mm[:ss[.f]]]`, a `T` for the space; `Z` or `+00:00` after seconds |
| the same WITH TIME ZONE, TIMESTAMPTZ | timestamptz | the same with seconds and `Z` or an offset |
| none, or any other word | by the values | one of integers, reals, text, blobs; a mixture is an UnsupportedType |
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headgate.dataplane import literal
from headgate.errors import BadParameter, UnsupportedType
from headgate.model.lake import Column, LakeType
from headgate.sources.guard import reason as reason_for
from headgate.sources.sql.selection import Choice

__all__ = ["Field", "field_of", "quoted", "type_of"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the lake and how it is read.

    `value` and `guard` are SQLite's: the text that travels as the column `travelled`, and `WHEN … THEN …` clauses
    that give the reason against a value of another class. `cast` and `refusal` are DuckDB's: the lake's value of
    that text, and clauses that give the reason against a text which cannot be held.
    """

    column: Column
    travelled: str
    value: str
    guard: str
    cast: str
    refusal: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one lake type is read: the storage classes it takes, what more is refused, and the texts in between.

    `{c}` is the column in SQLite's SQL, `{v}` the travelled text in DuckDB's, `{t}` the lake type in DuckDB's.
    `check` must hold for every text; `shown` is the text as an error shows it.
    """

    classes: tuple[str, ...]
    value: str = "CAST({c} AS TEXT)"
    refused: str | None = None
    cast: str = "CAST({v} AS {t})"
    check: str | None = None
    shown: str = "'''' || left({v}, 80) || ''''"
    reason: str = "which {kind} cannot hold exactly"


_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_SECONDS = rf"{_CLOCK}:[0-5]\d([.]\d{{1,6}}0*)?"
_DAY = r"\d{4}-\d{2}-\d{2}"
_STAMP = rf"{_DAY}([ T]({_CLOCK}|{_SECONDS}(Z|[+]00(:?00)?)?))?"
_ZONED = rf"{_DAY}[ T]{_SECONDS}(Z|[+-]\d{{2}}(:?\d{{2}})?)"


def _text(pattern: str, type_: str, earliest: str, latest: str) -> _Rule:
    in_range = f"TRY_CAST({{v}} AS {type_}) BETWEEN {type_} '{earliest}' AND {type_} '{latest}'"
    braced = literal(pattern).replace("{", "{{").replace("}", "}}")
    return _Rule(("text",), check=f"regexp_full_match({{v}}, {braced}) AND {in_range}")


_DOUBLE = _Rule(
    ("integer", "real"),
    value="CASE typeof({c}) WHEN 'real' THEN printf('%!.17g', {c}) ELSE CAST({c} AS TEXT) END",
    refused="typeof({c}) = 'integer' AND {c} NOT BETWEEN -9007199254740992 AND 9007199254740992",
)
_DECIMAL = _Rule(
    ("integer", "real"),
    # Fifteen digits name a double unambiguously; one that needs more was never this decimal.
    value="CASE typeof({c}) WHEN 'real' THEN printf('%!.15g', {c}) ELSE CAST({c} AS TEXT) END",
    refused="typeof({c}) = 'real' AND CAST(printf('%!.15g', {c}) AS REAL) <> {c}",
    check="CAST(TRY_CAST({v} AS {t}) AS DOUBLE) = TRY_CAST({v} AS DOUBLE)",
)
_RULES = {
    "long": _Rule(("integer",)),
    "boolean": _Rule(("integer",), cast="({v} = '1')", check="{v} IN ('0', '1')"),
    "double": _DOUBLE,
    "decimal": _DECIMAL,
    # SQLite does not check what it is given as text, and neither does DuckDB what it is given by SQLite.
    "string": _Rule(
        ("text", "integer"),
        check="TRY(decode(encode({v}))) IS NOT NULL",
        shown="'X''' || left(hex(encode({v})), 80) || ''''",
        reason="which is not valid UTF-8",
    ),
    "binary": _Rule(("blob",), value="CASE WHEN {c} IS NOT NULL THEN hex({c}) END", cast="unhex({v})"),
    "date": _text(_DAY, "DATE", "0001-01-01", "9999-12-31"),
    "time": _text(f"{_CLOCK}|{_SECONDS}", "TIME", "00:00:00", "23:59:59.999999"),
    "timestamp": _text(_STAMP, "TIMESTAMP", "0001-01-01", "9999-12-31 23:59:59.999999"),
    "timestamptz": _text(_ZONED, "TIMESTAMPTZ", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"),
}
_DECLARED: tuple[tuple[str, LakeType], ...] = (
    (r"TIMESTAMPTZ|(TIMESTAMP|DATETIME).*WITH TIME ZONE|DATETIMEOFFSET", LakeType("timestamptz")),
    (r"(TIMESTAMP|DATETIME).*", LakeType("timestamp")),
    (r"DATE", LakeType("date")),
    (r"TIME(\(\d+\))?", LakeType("time")),
    (r"BOOL(EAN)?", LakeType("boolean")),
    (r".*INT.*", LakeType("long")),
    (r".*(CHAR|CLOB|TEXT|STRING).*|JSON|UUID", LakeType("string")),
    (r".*BLOB.*", LakeType("binary")),
    (r".*(REAL|FLOA|DOUB).*|DECIMAL|NUMERIC", LakeType("double")),
)
_SHAPED = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_BY_CLASS: Mapping[str, LakeType] = {
    "integer": LakeType("long"),
    "real": LakeType("double"),
    "text": LakeType("string"),
    "blob": LakeType("binary"),
}


def field_of(
    name: str,
    declared: str,
    nullable: bool,
    choice: Choice,
    table: str,
    classes: Callable[[str], set[str]],
    at: int,
) -> Field:
    """How the column `name` lands in the lake; its text travels as the column `c<at>`.

    `classes` gives the storage classes of its values, asked only when the declared type says nothing.
    Raises UnsupportedType, or BadParameter for a declared decimal it cannot take.
    """
    type_ = _type(declared)
    if choice.decimal is not None:
        if type_ is None or type_.kind not in ("long", "double", "decimal"):
            raise BadParameter(
                f"params.columns declares {choice.decimal} for {name!r}, whose type is {declared or 'not declared'}; "
                "a decimal can be declared for a number only.",
                field="columns",
            )
        type_ = choice.decimal
    type_ = type_ or type_of(name, declared, classes)
    if type_ is None:
        raise UnsupportedType(
            f"The column {name!r} of {table} has no declared type that says what it holds, and its values are a "
            f"mixture of {' and '.join(sorted(classes(name)))}. Cast it in a view, or leave it out with "
            "params.columns.",
            column=name,
        )
    rule, column = _RULES[type_.kind], quoted(name)
    marks = {"c": column, "v": f"c{at}", "t": type_.sql}
    reason = rule.reason.format(kind=type_)
    allowed = ", ".join(f"'{known}'" for known in (*rule.classes, "null"))
    said = f"which is not of its declared type {declared}" if declared else f"which is not of the type {type_}"
    guard = _when(f"typeof({column}) NOT IN ({allowed})", name, said)
    if rule.refused:
        guard += _when(rule.refused.format(**marks), name, reason)
    refusal = ""
    if rule.check:
        before, after = reason_for(name, reason)
        refusal = (
            f" WHEN {marks['v']} IS NOT NULL AND NOT coalesce({rule.check.format(**marks)}, false) "
            f"THEN {literal(before)} || {rule.shown.format(**marks)} || {literal(after)}"
        )
    found_as = Column(name, type_, declared, nullable)
    return Field(found_as, marks["v"], rule.value.format(**marks), guard, rule.cast.format(**marks), refusal)


def quoted(name: str) -> str:
    """`name` as a column in SQLite's SQL, which takes a "name" that no column has (any more) for a text."""
    return "`" + name.replace("`", "``") + "`"


def type_of(name: str, declared: str, classes: Callable[[str], set[str]]) -> LakeType | None:
    """The lake type of the column `name`; None when neither its declared type nor its values are of one."""
    if (type_ := _type(declared)) is not None:
        return type_
    found = classes(name)
    return None if len(found) > 1 else _BY_CLASS[found.pop()] if found else LakeType("string")


def _type(declared: str) -> LakeType | None:
    word = " ".join(declared.upper().split())
    if shaped := _SHAPED.fullmatch(word):
        precision, scale = int(shaped[1]), int(shaped[2] or 0)
        return LakeType("decimal", precision, scale) if scale <= precision <= 38 and precision else LakeType("double")
    return next((type_ for pattern, type_ in _DECLARED if re.fullmatch(pattern, word)), None)


def _when(condition: str, name: str, reason: str) -> str:
    before, after = reason_for(name, reason)
    return f" WHEN {condition} THEN {literal(before)} || substr(quote({quoted(name)}), 1, 80) || {literal(after)}"

"""Text as typed values: which spellings a type takes, and the SQL that converts them or fails.

A type found in the data takes only canonical spellings, so that nothing is lost by converting: `007` and
`1e3` stay text. A type the user declared takes every spelling that names exactly one of its values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.dataplane import literal
from headgate.errors import BadParameter
from headgate.model.lake import LakeType
from headgate.sources.files.faults import FAULT
from headgate.sources.files.layout import FILE
from headgate.sources.guard import reason

__all__ = ["FOUND", "STRING", "TextType", "declared_types"]

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_ZONE = r"(Z|[+-]([01][0-9]|2[0-3])(:[0-5][0-9])?)"


@dataclass(frozen=True, slots=True)
class TextType:
    """A lake type as text, in SQL: `fits` says whether the text `{x}` is a spelling, `cast` is its value.

    `plain` says so of most spellings, at a fraction of the cost; when it is not true, `fits` decides.
    """

    lake: LakeType
    fits: str = "true"
    cast: str = "{x}"
    plain: str = "false"

    def fits_sql(self, text: str) -> str:
        """SQL that is true when the expression `text` can be converted; NULL stays NULL."""
        return self.fits.replace("{x}", text)

    def cast_sql(self, text: str) -> str:
        """SQL that converts `text`, which fits."""
        return self.cast.replace("{x}", text)

    def sql(self, text: str, name: str, origin: str = "null") -> str:
        """SQL that converts `text`, a value of the column `name`, or fails with the name, file and text.

        `origin` is JSON that goes into the failure too.
        """
        if self.fits == "true":
            return self.cast_sql(text)
        report = (
            f"json_array({literal(str(self.lake))}, {literal(name)}, {FILE}, left({text}, 200), "
            f"{literal(origin)}::JSON)"
        )
        plain = f"WHEN {self.plain.replace('{x}', text)} THEN {self.cast_sql(text)} " if self.plain != "false" else ""
        return (
            f"CASE WHEN {text} IS NULL THEN NULL {plain}WHEN {self.fits_sql(text)} "
            f"THEN {self.cast_sql(text)} ELSE error({literal(FAULT)} || {report}) END"
        )

    def reason_sql(self, text: str, name: str) -> str:
        """A clause that gives the reason against `text`, a value of the column `name` that cannot be converted."""
        if self.fits == "true":
            return ""
        before, after = reason(name, f"which is not a {self.lake}", "Declare the column as string in `params.columns`.")
        return (
            f" WHEN {text} IS NOT NULL AND NOT {self.fits_sql(text)} "
            f"THEN {literal(before)} || '''' || left({text}, 200) || '''' || {literal(after)}"
        )


def _matching(pattern: str, type_: LakeType, extra: str = "") -> TextType:
    cast = f"TRY_CAST({{x}} AS {type_.sql})"
    fits = f"(regexp_full_match({{x}}, {literal(pattern)}) AND {cast} IS NOT NULL{extra})"
    # The text that a value is written as is one of its spellings.
    plain = f"CAST({cast} AS VARCHAR) = {{x}}" if type_.kind in ("int", "long", "decimal", "date") else "false"
    if type_.kind == "date":  # DuckDB also writes years before 1 and after 9999, and infinity
        plain = f"length({{x}}) = 10 AND {plain}"
    return TextType(type_, fits, cast, plain)


STRING = TextType(LakeType("string"))
_BOOLEAN = TextType(LakeType("boolean"), "{x} IN ('true', 'false')", "{x} = 'true'")
_LONG = _matching("0|-?[1-9][0-9]{0,18}", LakeType("long"))
# Fifteen digits are what a double always gives back; more are, when the double itself is written with them.
_DOUBLE = _matching(
    r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,17})?",
    LakeType("double"),
    " AND (length(translate({x}, '-.', '')) <= 15 OR CAST(TRY_CAST({x} AS DOUBLE) AS VARCHAR) = {x})",
)
# The year 0000 exists in ISO 8601 and in DuckDB, but in no lake.
_DAY = _matching(_DATE, LakeType("date"), " AND {x} >= '0001'")
_TIMESTAMP = _matching(_DATE + _CLOCK, LakeType("timestamp"), " AND {x} >= '0001'")
_TIMESTAMPTZ = _matching(_DATE + _CLOCK + _ZONE, LakeType("timestamptz"), " AND {x} >= '0001'")

FOUND = (_BOOLEAN, _LONG, _DOUBLE, _DAY, _TIMESTAMP, _TIMESTAMPTZ)
"""The types that are looked for in data, in this order; else it is STRING."""

_DECLARED = {
    "string": STRING,
    "boolean": TextType(
        LakeType("boolean"), "lower({x}) IN ('true', 'false', '1', '0')", "lower({x}) IN ('true', '1')"
    ),
    "int": _matching("[+-]?[0-9]+", LakeType("int")),
    "integer": _matching("[+-]?[0-9]+", LakeType("int")),
    "long": _matching("[+-]?[0-9]+", LakeType("long")),
    "double": _matching(
        r"(?i)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)",
        LakeType("double"),
        " AND (isfinite(TRY_CAST({x} AS DOUBLE)) OR {x} ILIKE '%n%')",
    ),
    "date": _DAY,
    "timestamp": _TIMESTAMP,
    "timestamptz": _TIMESTAMPTZ,
}


def declared_types(params: Mapping[str, Any]) -> dict[str, TextType]:
    """The types that `params.columns` declares, by column name. Raises BadParameter."""
    columns = params.get("columns") or []
    if not isinstance(columns, list) or not all(isinstance(column, Mapping) for column in columns):
        raise BadParameter("`params.columns` must be a list of objects with `name` and `type`.", parameter="columns")
    declared: dict[str, TextType] = {}
    for column in columns:
        name, type_ = column.get("name"), column.get("type")
        if not isinstance(name, str) or not name or not isinstance(type_, str):
            raise BadParameter("Every entry of `params.columns` needs a `name` and a `type`.", parameter="columns")
        if name in declared:
            raise BadParameter(f"`params.columns` declares the column {name!r} twice.", parameter="columns")
        if not _explored(column):
            declared[name] = _declared(name, type_)
    return declared


def _explored(column: Mapping[str, Any]) -> bool:
    """Whether `column` only repeats what exploring said of it, in words that name no type of the lake's."""
    if not isinstance(column.get("xdm"), Mapping):
        return False
    described = column.get("meta:xdmType") in ("date", "date-time", "array", "object")
    return described or (column["type"] not in _DECLARED and not column["type"].startswith("decimal("))


def _declared(name: str, type_: str) -> TextType:
    if found := _DECLARED.get(type_):
        return found
    if sizes := re.fullmatch(r"decimal\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)", type_):
        precision, scale = int(sizes[1]), int(sizes[2] or 0)
        if 1 <= precision <= 38 and scale <= precision:
            # More digits than the scale are exact only when they are zeros; a cast would round them.
            pattern = rf"[+-]?[0-9]+(\.[0-9]{{0,{scale}}}0*)?"
            return _matching(pattern, LakeType("decimal", precision, scale))
    raise BadParameter(
        f"`params.columns` gives the column {name!r} the type {type_!r}; use one of "
        f"{', '.join(_DECLARED)} or decimal(precision,scale) with at most 38 digits.",
        parameter="columns",
    )

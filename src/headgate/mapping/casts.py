"""How the value of one type becomes a value of another, or fails: nothing is rounded, cut or guessed."""

from dataclasses import dataclass

from headgate.dataplane import literal
from headgate.mapping.shapes import Shape
from headgate.model.lake import LakeType

__all__ = ["Cast", "cast"]

_ISO = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
_DAYS = (  # tried in this order, the first that fits wins
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y-%b-%d",
    "%Y%m%d",
    "%m-%d-%Y",
    "%m%d%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y %I:%M:%S %p",
    "%d.%b.%Y",
    "%d-%b-%Y",
)
_PARSED = (
    f"CASE WHEN regexp_full_match({{x}}, {literal(_ISO)}) THEN TRY_CAST({{x}} AS TIMESTAMPTZ) "
    f"ELSE CAST(try_strptime({{x}}, [{', '.join(map(literal, _DAYS))}]) AS TIMESTAMPTZ) END"
)
_TRUE = ("y", "yes", "Y", "YES", "on", "ON", "true", "TRUE")
_FALSE = ("n", "N", "no", "NO", "off", "OFF", "false", "FALSE")
_TEXTS = {"boolean", "int", "long", "float", "double", "decimal", "date", "time", "timestamp", "timestamptz", "uuid"}


@dataclass(frozen=True, slots=True)
class Cast:
    """A conversion to `type` in SQL, `{x}` being the value. `fits` says whether a value can be converted; "" always."""

    type: LakeType
    sql: str = "{x}"
    fits: str = ""


def cast(from_: LakeType, to: Shape) -> Cast | None:
    """How a scalar of the type `from_` becomes one of the shape `to`; None when the types have nothing in common.

    A `number` keeps decimals as they are, exactly: the lake has them, though the schema cannot say so.
    """
    if to.type is None or (to.xdm == "number" and from_.kind == to.type.kind == "decimal" and from_ == to.type):
        return Cast(from_)
    if to.xdm == "number" and from_.kind == "decimal" and to.type.kind == "double":
        return Cast(from_)
    found = _plain(from_, to.type)
    if found is None or to.xdm not in ("short", "byte"):
        return found
    least, most = (-32768, 32767) if to.xdm == "short" else (-128, 127)
    within = f"{found.sql} BETWEEN {least} AND {most}"
    return Cast(found.type, found.sql, f"{found.fits} AND {within}" if found.fits else within)


def _plain(from_: LakeType, to: LakeType) -> Cast | None:
    if from_ == to:
        return Cast(to)
    kind = from_.kind
    match to.kind:
        case "string":
            return Cast(to, "CAST({x} AS VARCHAR)") if kind in _TEXTS else None
        case "int" | "long":
            return _to_integer(kind, to)
        case "double":
            return _to_double(kind, to)
        case "decimal":
            return _to_decimal(kind, to)
        case "boolean":
            return _to_boolean(kind, to)
        case "date" | "timestamptz":
            return _to_time(kind, to)
    return None


def _to_integer(kind: str, to: LakeType) -> Cast | None:
    tried = f"TRY_CAST({{x}} AS {to.sql})"
    match kind:
        case "int":
            return Cast(to, f"CAST({{x}} AS {to.sql})")
        case "long" | "decimal" | "float" | "double":
            return Cast(to, tried, f"coalesce({tried} = {{x}}, false)")
        case "string":
            return Cast(to, tried, f"(regexp_full_match({{x}}, '[+-]?[0-9]+') AND {tried} IS NOT NULL)")
    return None


def _to_double(kind: str, to: LakeType) -> Cast | None:
    match kind:
        case "int" | "float":
            return Cast(to, "CAST({x} AS DOUBLE)")
        case "long":
            return Cast(to, "CAST({x} AS DOUBLE)", "CAST(CAST({x} AS DOUBLE) AS HUGEINT) = {x}")
        case "string":
            number = literal(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")
            tried = "TRY_CAST({x} AS DOUBLE)"
            return Cast(to, tried, f"(regexp_full_match({{x}}, {number}) AND coalesce(isfinite({tried}), false))")
    return None


def _to_decimal(kind: str, to: LakeType) -> Cast | None:
    tried = f"TRY_CAST({{x}} AS {to.sql})"
    match kind:
        case "int" | "long" | "decimal":
            return Cast(to, tried, f"coalesce({tried} = {{x}}, false)")
        case "float" | "double":
            return Cast(to, tried, f"coalesce(CAST({tried} AS DOUBLE) = {{x}}, false)")
        case "string":  # more digits than the scale are exact only when they are zeros; a cast would round them
            number = literal(rf"[+-]?[0-9]+([.][0-9]{{0,{to.scale}}}0*)?")
            return Cast(to, tried, f"(regexp_full_match({{x}}, {number}) AND {tried} IS NOT NULL)")
    return None


def _to_boolean(kind: str, to: LakeType) -> Cast | None:
    match kind:
        case "int" | "long":
            return Cast(to, "({x} = 1)", "{x} IN (0, 1)")
        case "string":
            true = f"{{x}} IN ({', '.join(map(literal, _TRUE))})"
            return Cast(to, true, f"{{x}} IN ({', '.join(map(literal, (*_TRUE, *_FALSE)))})")
    return None


def _to_time(kind: str, to: LakeType) -> Cast | None:
    """Times without a zone are in UTC; a date stands for its first instant, an instant for a date only then."""
    instant, readable = "CAST({x} AS TIMESTAMPTZ)", ""
    if kind == "string":
        # A year of less than four digits is another spelling that happened to parse.
        instant, readable = (
            _PARSED,
            f"coalesce(({_PARSED}) BETWEEN '1000-01-01' AND '9999-12-31 23:59:59.999999', false)",
        )
    elif kind not in ("date", "timestamp", "timestamptz"):
        return None
    if to.kind == "timestamptz":
        return Cast(to, f"({instant})", readable)
    whole = f"date_trunc('day', {instant}) = ({instant})"
    return Cast(to, f"CAST(({instant}) AS DATE)", f"({readable} AND {whole})" if readable else whole)
